// SPDX-License-Identifier: Apache-2.0
// From the layers of an image to the blobs that a VM attaches (spec 02 §13; design §5, §7).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "image/acquire/blob_store.h"
#include "image/acquire/boot_scan.h"
#include "image/acquire/erofs.h"
#include "image/acquire/image_input.h"
#include "image/acquire/staging_tree.h"
#include "image/acquire/work_dir.h"
#include "model/config.h"
#include "sys/files.h"

namespace cocoon::image {

// Images with more layers become one merged file system (design §7).
inline constexpr std::size_t kMostDisks = 8;

// One step of an import, for the user.
struct Progress {
  std::string_view phase;  // resolve, wait, read, download, layer, merge, convert, commit
  std::size_t done = 0;    // layers
  std::size_t total = 0;
  std::string text;             // one line
  std::int64_t bytes_done = 0;  // of a download; it comes often
  std::int64_t bytes_total = -1;
};
// Called from several threads, one at a time.
using ProgressSink = std::function<void(const Progress&)>;

struct ConvertSettings {
  LayerLimits limits;
  std::string compression;
  std::size_t threads = 1;
  sys::fs::path work;
  int work_lock_fd = -1;  // programs that work there inherit it
};
ConvertSettings convert_settings(const model::Config& config, const WorkDir& work);

// The blobs of an image, held.
struct ImageBlobs {
  std::vector<BlobLease> disks;  // bottom first
  std::optional<BlobLease> kernel;
  std::optional<BlobLease> initrd;
  std::optional<BlobLease> vmlinux;  // the kernel unpacked, if it is a compressed one of x86
  std::optional<BootFiles> boot;
};

// Finds or makes every blob of the image, layers in parallel. The first failure is returned; what
// was made by then stays in the store's list for undo().
Result<ImageBlobs> convert_image(BlobStore& blobs, const ConvertSettings& settings,
                                 const ImageInput& input, const ProgressSink& progress);

// The layers without lower occurrences of the same content, bottom first: what the topmost one
// brings shadows them wholly (spec 02 §17 B29).
std::vector<LayerInput> without_duplicates(const std::vector<LayerInput>& layers);

}  // namespace cocoon::image
