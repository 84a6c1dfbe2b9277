// SPDX-License-Identifier: Apache-2.0
// `image import NAME [FILE…]`. Links archive and crypto libraries: cocoon_engine_acquire only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/image_commit.h"

namespace cocoon::engine {

struct ImageImportRequest {
  std::string name;
  std::vector<std::filesystem::path> files;  // empty, or one "-": standard input
  int standard_input = 0;
};

// Imports an image under a name; an image of the same canonical name is replaced, unless it is the
// same content: then nothing changes. After a failure or a cancellation nothing is left behind.
// kInvalid: name, or input that is no image; kCorrupt: damaged or hostile input; kUnsupported: a
// platform or kind of image that cannot run here, or a host that lacks what importing takes.
Result<ImageReport> import_image(Ports& ports, const ImageImportRequest& request,
                                 const image::ProgressSink& progress);

}  // namespace cocoon::engine
