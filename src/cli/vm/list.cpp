// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/vm/vm.h"
#include "cli/vm/vm_table.h"
#include "engine/vm_view.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const std::string& format) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  std::vector<model::Vm> vms;
  if (ports != nullptr) vms = COCOON_TRY(engine::list_vms(*ports));
  if (!wants_json(format)) {
    app.output().print(vm_table(vms));
    return 0;
  }
  nlohmann::json list = nlohmann::json::array();
  for (const model::Vm& vm : vms) list.push_back(engine::public_json(*ports, vm));
  app.output().print(render_json(list));
  return 0;
}

}  // namespace

Command vm_list_command() {
  auto format = std::make_shared<std::string>("table");
  Command command;
  command.path = "vm list";
  command.summary = "List VMs, oldest first";
  command.aliases = {"ls"};
  command.flags = {format_flag(format.get())};
  command.run = [format](App& app, const Arguments&) { return run(app, *format); };
  return command;
}

}  // namespace cocoon::cli
