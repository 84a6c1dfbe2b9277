// SPDX-License-Identifier: Apache-2.0
// `image pull` in cocoon-image.
#pragma once

#include "cli/image/image.h"

namespace cocoon::cli {

Result<int> run_image_pull(App& app, const ImagePullFlags& flags, const Arguments& arguments);

}  // namespace cocoon::cli
