// SPDX-License-Identifier: Apache-2.0
#include "cli/json_output.h"
#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/snapshot_save.h"

namespace cocoon::cli {

Command vm_hibernate_command() {
  auto format = std::make_shared<std::string>();
  Command command;
  command.path = "vm hibernate";
  command.usage = "VM [VM...]";
  command.summary = "Save VMs and stop them; `vm start` lets them go on";
  command.flags = {output_flag(format.get())};
  command.min_names = 1;
  command.max_names = kAnyNumber;
  command.names = Names::kVm;
  command.run = [format](App& app, const Arguments& arguments) {
    auto hibernate = [](engine::Ports& ports, const std::string& id) -> Result<void> {
      COCOON_TRY(engine::hibernate_vm(ports, id));
      return {};
    };
    // Each forks a guardian, which only a process of one thread may do (engine/guardian.h); and
    // side by side they would write their memories to one disk, each guest paused for all of them.
    return run_over_vms(app, arguments.names, *format, "hibernate vm", hibernate,
                        engine::Pace::kOneByOne);
  };
  return command;
}

}  // namespace cocoon::cli
