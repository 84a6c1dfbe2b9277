// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/kernel/kernel.h"
#include "cli/kernel/kernel_table.h"
#include "engine/kernel_list.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const std::string& format) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  std::vector<model::KernelName> kernels;
  if (ports != nullptr) kernels = COCOON_TRY(engine::list_kernels(*ports));
  if (!wants_json(format)) {
    app.output().print(kernel_table(kernels));
    return 0;
  }
  nlohmann::json list = nlohmann::json::array();
  for (const model::KernelName& kernel : kernels) list.push_back(model::to_public_json(kernel));
  app.output().print(render_json(list));
  return 0;
}

}  // namespace

Command kernel_list_command() {
  auto format = std::make_shared<std::string>("table");
  Command command;
  command.path = "kernel list";
  command.summary = "List kernels";
  command.aliases = {"ls"};
  command.flags = {format_flag(format.get())};
  command.run = [format](App& app, const Arguments&) { return run(app, *format); };
  return command;
}

}  // namespace cocoon::cli
