// SPDX-License-Identifier: Apache-2.0
// The table of images (spec 01 §13). Pure.
#pragma once

#include <string>
#include <vector>

#include "model/image.h"

namespace cocoon::cli {

// TYPE NAME DIGEST SIZE CREATED, or "No images found."; digests are cut to 19 characters.
std::string image_table(const std::vector<model::Image>& images);

}  // namespace cocoon::cli
