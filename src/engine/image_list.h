// SPDX-License-Identifier: Apache-2.0
// `image list` and `image inspect`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/ports.h"
#include "model/image.h"

namespace cocoon::engine {

// All images, by type and then name.
Result<std::vector<model::Image>> list_images(Ports& ports);

// The image that a reference names. kNotFound, kConflict (ambiguous).
Result<model::Image> inspect_image(Ports& ports, std::string_view reference);

// What an image costs, and who needs it.
struct ImageUse {
  std::int64_t shared_size = 0;      // bytes of files that other images have, too
  std::int64_t unique_size = 0;      // of the others
  std::vector<std::string> used_by;  // what rests on its files: VMs, "snapshot NAME"
};
Result<ImageUse> image_use(Ports& ports, const model::Image& image);

}  // namespace cocoon::engine
