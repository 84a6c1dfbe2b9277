// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/image/image.h"
#include "cli/image/image_json.h"
#include "cli/image/image_table.h"
#include "cli/json_output.h"
#include "engine/image_list.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const std::string& format) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  std::vector<model::Image> images;
  if (ports != nullptr) images = COCOON_TRY(engine::list_images(*ports));
  if (!wants_json(format)) {
    app.output().print(image_table(images));
    return 0;
  }
  nlohmann::json list = nlohmann::json::array();
  for (const model::Image& image : images) list.push_back(COCOON_TRY(image_json(*ports, image)));
  app.output().print(render_json(list));
  return 0;
}

}  // namespace

Command image_list_command() {
  auto format = std::make_shared<std::string>("table");
  Command command;
  command.path = "image list";
  command.summary = "List images";
  command.aliases = {"ls"};
  command.flags = {format_flag(format.get())};
  command.run = [format](App& app, const Arguments&) { return run(app, *format); };
  return command;
}

}  // namespace cocoon::cli
