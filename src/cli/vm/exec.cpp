// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/references.h"
#include "cli/vm/session_pump.h"
#include "cli/vm/vm.h"
#include "engine/vm_exec.h"
#include "sys/tty.h"

namespace cocoon::cli {
namespace {

constexpr int kOurFailure = 125;

struct ExecFlags {
  PumpOptions streams;
  std::vector<std::string> env;
  std::string workdir;
  std::string user;
  int timeout = static_cast<int>(engine::kAgentWait.count() / 1000);
};

Result<engine::ExecRequest> make_request(const ExecFlags& flags, const Arguments& arguments) {
  if (arguments.command.empty()) {
    return fail(ErrorKind::kInvalid, "no command: cocoon vm exec VM -- CMD [ARG...]");
  }
  if (flags.timeout < 0) return fail(ErrorKind::kInvalid, "--timeout must not be negative");
  engine::ExecRequest request;
  request.argv = arguments.command;
  request.env = flags.env;
  request.workdir = flags.workdir;
  request.user = flags.user;
  request.wait = std::chrono::seconds(flags.timeout);
  return request;
}

Result<int> run(App& app, const ExecFlags& flags, const Arguments& arguments) {
  engine::ExecRequest request = COCOON_TRY(make_request(flags, arguments));
  COCOON_TRY(check_streams(flags.streams));
  FoundVm found = COCOON_TRY(find_vm(app, arguments.names[0]));
  if (flags.streams.terminal) {
    auto size = sys::window_size(STDIN_FILENO).value_or(sys::WindowSize{});
    request.terminal = engine::GuestTerminal{size.rows, size.columns};
  }
  agent::Session session = COCOON_TRY(engine::begin_exec(*found.ports, found.vm, request));
  return pump_session(app.output(), session, flags.streams);
}

}  // namespace

Command vm_exec_command() {
  auto flags = std::make_shared<ExecFlags>();
  Command command;
  command.path = "vm exec";
  command.usage = "VM";
  command.summary = "Run a command in a running VM";
  command.details =
      "Ends with the exit code of the command; 125 for a failure of our own, 126 when the command\n"
      "cannot be run and 127 when it is not there. A guest that still boots is waited for.";
  command.flags = {
      {.name = "interactive",
       .short_name = 'i',
       .target = &flags->streams.input,
       .help = "pass standard input on"},
      {.name = "tty",
       .short_name = 't',
       .target = &flags->streams.terminal,
       .help = "give the command a terminal"},
      {.name = "env",
       .short_name = 'e',
       .target = &flags->env,
       .help = "set a variable (a bare KEY takes its value from here)",
       .value_name = "KEY=VALUE"},
      {.name = "workdir",
       .short_name = 'w',
       .target = &flags->workdir,
       .help = "working directory",
       .value_name = "DIR"},
      {.name = "user",
       .short_name = 'u',
       .target = &flags->user,
       .help = "user, by name or number, or user:group",
       .value_name = "USER"},
      {.name = "timeout",
       .target = &flags->timeout,
       .help = "how long to wait for a guest that boots",
       .value_name = "SECONDS"},
  };
  command.min_names = command.max_names = 1;
  command.takes_command = true;
  command.names = Names::kVm;
  command.failure_code = kOurFailure;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
