// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/vm_reseed.h"

namespace cocoon::cli {

Command vm_reseed_command() {
  auto machine_id = std::make_shared<bool>(false);
  Command command;
  command.path = "vm reseed";
  command.usage = "VM";
  command.summary = "Give a running guest fresh entropy";
  command.flags = {{.name = "machine-id",
                    .target = machine_id.get(),
                    .help = "also make a new /etc/machine-id"}};
  command.min_names = command.max_names = 1;
  command.names = Names::kVm;
  command.run = [machine_id](App& app, const Arguments& arguments) -> Result<int> {
    FoundVm found = COCOON_TRY(find_vm(app, arguments.names[0]));
    COCOON_TRY(engine::reseed_vm(*found.ports, found.vm, *machine_id));
    return 0;
  };
  return command;
}

}  // namespace cocoon::cli
