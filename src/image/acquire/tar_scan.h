// SPDX-License-Identifier: Apache-2.0
// Looks whether mkfs.erofs may read a layer's tar itself (--tar, from 1.8.9 on), which saves the
// staging tree. Only where its result is surely that of spec 02 §13.3: everything unusual is
// staged, and everything hostile is for the staging tree to refuse.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "image/acquire/image_input.h"
#include "image/acquire/staging_tree.h"
#include "model/image.h"
#include "sys/files.h"

namespace cocoon::image {

struct TarScan {
  std::string obstacle;     // why it must be staged; empty: mkfs.erofs may read it
  std::int64_t newest = 0;  // seconds; no object is younger
  std::int64_t inodes = 1;  // that the file system must have
  bool root_opaque = false;
  std::vector<model::BootEntry> boot;  // their files are in the stash
};

// Reads the layer once, up to the first obstacle. Boot files are kept as `<stash>/<sha256>`. Fails
// only when the host does.
Result<TarScan> scan_layer_tar(const LayerInput& layer, LayerLimits limits,
                               const sys::fs::path& stash);

}  // namespace cocoon::image
