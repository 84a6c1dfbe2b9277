// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/agent_access.h"
#include "engine/vm_wait.h"

namespace cocoon::cli {
namespace {

constexpr const char* kReady = "ready";
constexpr const char* kExit = "exit";

struct WaitFlags {
  std::string what = kReady;
  std::optional<int> timeout;
};

Result<int> run(App& app, const WaitFlags& flags, const std::string& reference) {
  if (flags.timeout && *flags.timeout < 0) {
    return fail(ErrorKind::kInvalid, "--timeout must not be negative");
  }
  FoundVm found = COCOON_TRY(find_vm(app, reference));
  std::optional<Milliseconds> limit;
  if (flags.timeout) limit = std::chrono::seconds(*flags.timeout);
  if (flags.what != kExit) {
    COCOON_TRY(engine::wait_ready(*found.ports, found.vm, limit.value_or(engine::kAgentWait)));
    return 0;
  }
  model::Vm vm = COCOON_TRY(engine::wait_end(*found.ports, found.vm.id, limit));
  app.output().line(vm.exit_code ? std::to_string(*vm.exit_code) : "-");
  return 0;
}

}  // namespace

Command vm_wait_command() {
  auto flags = std::make_shared<WaitFlags>();
  Command command;
  command.path = "vm wait";
  command.usage = "VM";
  command.summary = "Wait until a VM is ready, or has ended";
  command.details =
      "ready: the agent in the guest answers. exit: the VM does not run any more; the exit code "
      "of\n"
      "its program is printed, \"-\" if it left none.";
  command.flags = {{.name = "for",
                    .target = &flags->what,
                    .help = "what to wait for",
                    .value_name = "EVENT",
                    .choices = {kReady, kExit}},
                   {.name = "timeout",
                    .target = &flags->timeout,
                    .help = "give up after this time (ready: 60, exit: never)",
                    .value_name = "SECONDS"}};
  command.min_names = command.max_names = 1;
  command.names = Names::kVm;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments.names[0]);
  };
  return command;
}

}  // namespace cocoon::cli
