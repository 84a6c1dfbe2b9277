// SPDX-License-Identifier: Apache-2.0
// `image import` in cocoon-image.
#pragma once

#include "cli/image/image.h"

namespace cocoon::cli {

Result<int> run_image_import(App& app, const ImageImportFlags& flags, const Arguments& arguments);

}  // namespace cocoon::cli
