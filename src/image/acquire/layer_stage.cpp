// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/layer_stage.h"

#include "image/acquire/tar_reader.h"

namespace cocoon::image {
namespace {

Result<void> add_entries(StagingTree& tree, const LayerInput& layer, LayerLimits limits) {
  auto stream = COCOON_TRY(LayerStream::open(layer, limits.bytes));
  TarReader reader = COCOON_TRY(TarReader::open(*stream));
  while (true) {
    auto entry = COCOON_TRY(reader.next());
    if (!entry) break;
    COCOON_TRY(tree.add(*entry, reader));
  }
  return stream->verify();
}

Result<void> apply_markers(StagingTree& tree, const LayerInput& layer, LayerLimits limits) {
  auto stream = COCOON_TRY(LayerStream::open(layer, limits.bytes));
  TarReader reader = COCOON_TRY(TarReader::open(*stream));
  while (true) {
    auto entry = COCOON_TRY(reader.next());
    if (!entry) return {};
    COCOON_TRY(tree.apply_marker(*entry));
  }
}

}  // namespace

Result<StagingTree> stage_layer(const LayerInput& layer, const sys::fs::path& dir,
                                LayerLimits limits) {
  StagingTree tree = COCOON_TRY(StagingTree::create(dir, limits));
  COCOON_TRY(add_entries(tree, layer, limits));
  COCOON_TRY(tree.finish());
  return tree;
}

Result<StagingTree> stage_merged(const std::vector<LayerInput>& layers, const sys::fs::path& dir,
                                 LayerLimits limits) {
  StagingTree tree = COCOON_TRY(StagingTree::create(dir, limits));
  tree.ignore_markers();
  bool first = true;
  for (const LayerInput& layer : layers) {
    // Twice through each: a layer's markers hide what is below, wherever they stand in it.
    if (!first) COCOON_TRY(apply_markers(tree, layer, limits), "{}", layer.label);
    first = false;
    COCOON_TRY(add_entries(tree, layer, limits), "{}", layer.label);
  }
  COCOON_TRY(tree.finish());
  return tree;
}

}  // namespace cocoon::image
