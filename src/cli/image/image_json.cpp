// SPDX-License-Identifier: Apache-2.0
#include "cli/image/image_json.h"

namespace cocoon::cli {

Result<nlohmann::json> image_json(engine::Ports& ports, const model::Image& image) {
  nlohmann::json out = model::to_public_json(image);
  engine::ImageUse use = COCOON_TRY(engine::image_use(ports, image));
  out["shared_size"] = use.shared_size;
  out["unique_size"] = use.unique_size;
  out["used_by"] = use.used_by;
  return out;
}

}  // namespace cocoon::cli
