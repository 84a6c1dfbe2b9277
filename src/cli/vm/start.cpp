// SPDX-License-Identifier: Apache-2.0
#include "cli/json_output.h"
#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/vm_start.h"

namespace cocoon::cli {

Command vm_start_command() {
  auto format = std::make_shared<std::string>();
  Command command;
  command.path = "vm start";
  command.usage = "VM [VM...]";
  command.summary = "Start VMs; a running one is left alone";
  command.flags = {output_flag(format.get())};
  command.min_names = 1;
  command.max_names = kAnyNumber;
  command.names = Names::kVm;
  command.run = [format](App& app, const Arguments& arguments) {
    return run_over_vms(app, arguments.names, *format, "start vm",
                        [](engine::Ports& ports, const std::string& id) -> Result<void> {
                          COCOON_TRY(engine::start_vm(ports, id));
                          return {};
                        });
  };
  return command;
}

}  // namespace cocoon::cli
