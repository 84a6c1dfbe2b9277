// SPDX-License-Identifier: Apache-2.0
// Unpacking layers into a staging tree, alone or on top of each other.
#pragma once

#include <vector>

#include "base/error.h"
#include "image/acquire/image_input.h"
#include "image/acquire/staging_tree.h"
#include "sys/files.h"

namespace cocoon::image {

// One layer with its markers turned into overlayfs' marks. Its digests are verified.
Result<StagingTree> stage_layer(const LayerInput& layer, const sys::fs::path& dir,
                                LayerLimits limits);

// What several layers, bottom first, look like together: markers are carried out.
Result<StagingTree> stage_merged(const std::vector<LayerInput>& layers, const sys::fs::path& dir,
                                 LayerLimits limits);

}  // namespace cocoon::image
