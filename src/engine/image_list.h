// SPDX-License-Identifier: Apache-2.0
// `image list` and `image inspect`.
#pragma once

#include <string_view>
#include <vector>

#include "engine/ports.h"
#include "model/image.h"

namespace cocoon::engine {

// All images, by type and then name.
Result<std::vector<model::Image>> list_images(Ports& ports);

// The image that a reference names. kNotFound, kConflict (ambiguous).
Result<model::Image> inspect_image(Ports& ports, std::string_view reference);

}  // namespace cocoon::engine
