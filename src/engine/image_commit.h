// SPDX-License-Identifier: Apache-2.0
// What `image import` and `image pull` have in common: from input to the image's row. Links archive
// and crypto libraries: cocoon_engine_acquire only.
#pragma once

#include <string>

#include "engine/ports.h"
#include "image/acquire/convert.h"
#include "image/acquire/work_dir.h"
#include "model/image.h"

namespace cocoon::engine {

struct ImageReport {
  model::Image image;
  bool changed = true;        // false: the very same image was there already
  std::size_t new_blobs = 0;  // made by this command; the others were shared
};

// Writes the image's row, in place of one with the same canonical name. The leases in `blobs` keep
// gc away until the row pins them.
Result<ImageReport> commit_image(Ports& ports, const std::string& name,
                                 const image::ImageInput& input, const image::ImageBlobs& blobs);

// The base of a cloud image: checked before any program opens it, then rewritten as a raw file.
Result<image::ImageBlobs> convert_disk(image::BlobStore& blobs, const image::WorkDir& work,
                                       const image::DiskInput& input,
                                       const image::ProgressSink& progress);

}  // namespace cocoon::engine
