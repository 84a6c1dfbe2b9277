// SPDX-License-Identifier: Apache-2.0
#include "cli/json_output.h"
#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/vm_rm.h"

namespace cocoon::cli {
namespace {

struct RmFlags {
  bool force = false;
  std::string format;
};

}  // namespace

Command vm_rm_command() {
  auto flags = std::make_shared<RmFlags>();
  Command command;
  command.path = "vm rm";
  command.usage = "VM [VM...]";
  command.summary = "Remove VMs with their disks and logs";
  command.flags = {{.name = "force", .target = &flags->force, .help = "end running ones first"},
                   output_flag(&flags->format)};
  command.min_names = 1;
  command.max_names = kAnyNumber;
  command.names = Names::kVm;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run_over_vms(app, arguments.names, flags->format, "remove vm",
                        [flags](engine::Ports& ports, const std::string& id) {
                          return engine::remove_vm(ports, id, flags->force);
                        });
  };
  return command;
}

}  // namespace cocoon::cli
