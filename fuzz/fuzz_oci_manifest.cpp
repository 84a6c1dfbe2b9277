// SPDX-License-Identifier: Apache-2.0
// The JSON documents of images: OCI index and manifest, Docker's manifest.json, image config. Every
// input goes through all three readers.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "image/acquire/documents.h"
#include "model/image.h"

namespace {

// What a caller may count on once a document was accepted.
void require(bool holds) {
  if (!holds) abort();
}

void check_descriptor(const cocoon::image::Descriptor& descriptor) {
  require(cocoon::is_sha256_hex(descriptor.digest) && descriptor.size >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cocoon::image;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto document = parse_oci_document(text)) {
    for (const Descriptor& manifest : document->manifests) check_descriptor(manifest);
    if (auto chosen = choose_manifest(document->manifests, {"linux", "amd64"})) {
      check_descriptor(*chosen);
    }
    if (document->manifest) {
      check_descriptor(document->manifest->config);
      for (const Descriptor& layer : document->manifest->layers) check_descriptor(layer);
    }
  }
  if (auto images = parse_docker_manifest(text)) {
    for (const DockerImage& image : *images) require(!image.config.empty());
  }
  if (auto image = parse_image_document(text)) {
    require(!image->diff_ids.empty());
    for (const std::string& id : image->diff_ids) require(cocoon::is_sha256_hex(id));
    // What was accepted can be stored, printed and read again.
    cocoon::model::Image record;
    record.config = image->config;
    auto stored = cocoon::model::parse_image(cocoon::model::to_stored_json(record));
    require(stored && stored->config == record.config);
  }
  return 0;
}
