// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/vm_logs.h"

namespace cocoon::cli {
namespace {

struct LogsFlags {
  bool follow = false;
  bool vmm = false;
  std::optional<int> tail;
};

Result<int> run(App& app, const LogsFlags& flags, const std::string& reference) {
  engine::LogsOptions options{.vmm = flags.vmm, .follow = flags.follow, .tail = std::nullopt};
  if (flags.tail && *flags.tail < 0) {
    return fail(ErrorKind::kInvalid, "invalid value \"{}\" for --tail: must not be negative",
                *flags.tail);
  }
  if (flags.tail) options.tail = static_cast<std::size_t>(*flags.tail);
  FoundVm found = COCOON_TRY(find_vm(app, reference));
  COCOON_TRY(
      engine::read_logs(*found.ports, found.vm, options,
                        [&app](std::string_view bytes) { return app.output().stream(bytes); }),
      "logs of vm {}", found.vm.id);
  return 0;
}

}  // namespace

Command vm_logs_command() {
  auto flags = std::make_shared<LogsFlags>();
  Command command;
  command.path = "vm logs";
  command.usage = "VM";
  command.summary = "Show what the guest wrote to its console";
  command.flags = {
      {.name = "follow",
       .short_name = 'f',
       .target = &flags->follow,
       .help = "go on until the VM ends"},
      {.name = "tail",
       .target = &flags->tail,
       .help = "only the last N lines of what is there",
       .value_name = "N"},
      {.name = "vmm", .target = &flags->vmm, .help = "show the hypervisor's log instead"}};
  command.min_names = command.max_names = 1;
  command.names = Names::kVm;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments.names[0]);
  };
  return command;
}

}  // namespace cocoon::cli
