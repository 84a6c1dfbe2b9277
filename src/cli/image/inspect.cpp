// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect.h"

#include "cli/image/image.h"
#include "cli/image/image_json.h"
#include "engine/image_list.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

Result<nlohmann::json> inspect(App& app, const std::string& reference) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  if (ports == nullptr) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kImageNotFound, reference);
  }
  model::Image image = COCOON_TRY(engine::inspect_image(*ports, reference));
  return image_json(*ports, image);
}

}  // namespace

Command image_inspect_command() {
  return inspect_command("image", "IMAGE", "an image", Names::kImage, inspect);
}

}  // namespace cocoon::cli
