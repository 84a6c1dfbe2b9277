// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/references.h"
#include "cli/vm/stop_flags.h"
#include "cli/vm/vm.h"
#include "engine/vm_stop.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const StopFlags& flags, const Arguments& arguments) {
  engine::StopOptions options = COCOON_TRY(stop_options(flags));
  return run_over_vms(app, arguments.names, flags.format, "stop vm",
                      [&options](engine::Ports& ports, const std::string& id) -> Result<void> {
                        COCOON_TRY(engine::stop_vm(ports, id, options));
                        return {};
                      });
}

}  // namespace

Command vm_stop_command() {
  auto flags = std::make_shared<StopFlags>();
  Command command;
  command.path = "vm stop";
  command.usage = "VM [VM...]";
  command.summary = "Stop running VMs; one that is not running is left alone";
  command.flags = stop_flag_table(*flags);
  command.min_names = 1;
  command.max_names = kAnyNumber;
  command.names = Names::kVm;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
