// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/image/image.h"
#include "cli/image/image_json.h"
#include "cli/json_output.h"
#include "engine/image_list.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const std::string& reference) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  if (ports == nullptr) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kImageNotFound, reference);
  }
  model::Image image = COCOON_TRY(engine::inspect_image(*ports, reference));
  app.output().print(render_json(COCOON_TRY(image_json(*ports, image))));
  return 0;
}

}  // namespace

Command image_inspect_command() {
  auto format = std::make_shared<std::string>("json");
  Command command;
  command.path = "image inspect";
  command.usage = "IMAGE";
  command.summary = "Show everything about an image as JSON";
  command.flags = {json_only_flag(format.get())};
  command.min_names = command.max_names = 1;
  command.names = Names::kImage;
  command.run = [format](App& app, const Arguments& arguments) {
    return run(app, arguments.names[0]);
  };
  return command;
}

}  // namespace cocoon::cli
