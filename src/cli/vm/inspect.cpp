// SPDX-License-Identifier: Apache-2.0
#include "cli/json_output.h"
#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/vm_view.h"

namespace cocoon::cli {

Command vm_inspect_command() {
  auto format = std::make_shared<std::string>("json");
  Command command;
  command.path = "vm inspect";
  command.usage = "VM";
  command.summary = "Show everything about a VM as JSON";
  command.flags = {json_only_flag(format.get())};
  command.min_names = command.max_names = 1;
  command.names = Names::kVm;
  command.run = [format](App& app, const Arguments& arguments) -> Result<int> {
    FoundVm found = COCOON_TRY(find_vm(app, arguments.names[0]));
    app.output().print(render_json(engine::inspect_json(*found.ports, found.vm)));
    return 0;
  };
  return command;
}

}  // namespace cocoon::cli
