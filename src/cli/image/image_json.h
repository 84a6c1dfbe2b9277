// SPDX-License-Identifier: Apache-2.0
// The JSON of an image as `image list` and `image inspect` print it.
#pragma once

#include <nlohmann/json.hpp>

#include "engine/image_list.h"

namespace cocoon::cli {

// The public object with what it costs and who needs it: shared_size, unique_size, used_by.
Result<nlohmann::json> image_json(engine::Ports& ports, const model::Image& image);

}  // namespace cocoon::cli
