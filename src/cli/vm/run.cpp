// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/pull_on_demand.h"
#include "cli/vm/create_flags.h"
#include "cli/vm/session_pump.h"
#include "cli/vm/vm.h"
#include "engine/vm_exec.h"
#include "engine/vm_run.h"
#include "engine/vm_view.h"
#include "engine/vm_wait.h"
#include "sys/tty.h"

namespace cocoon::cli {
namespace {

constexpr int kOurFailure = 125;
// A guest of our own making has an agent: on a slow host it only takes its time.
constexpr std::chrono::minutes kBootLimit{5};

struct VmRun {
  CreateFlags create;
  OptionalValue pull;
  std::string format;
  PumpOptions streams;
  bool remove = false;
  bool wait = false;

  bool attaches() const { return streams.input || streams.terminal || remove; }
};

Result<int> run_detached(App& app, const VmRun& flags, const engine::CreateRequest& request) {
  engine::Ports* ports = COCOON_TRY(app.ports());
  model::Vm vm = COCOON_TRY(engine::run_vm(*ports, request), "run \"{}\"", request.image);
  if (flags.wait) COCOON_TRY(engine::wait_ready(*ports, vm, engine::kAgentWait));
  if (wants_json(flags.format)) {
    app.output().print(render_json(engine::public_json(*ports, vm)));
    return 0;
  }
  app.output().line(vm.id);
  app.output().remark(fmt::format("started vm {}", vm.config.name));
  return 0;
}

Result<int> attend(App& app, engine::Ports& ports, const VmRun& flags,
                   const engine::CreateRequest& request, const engine::AttachedRun& run) {
  engine::ExecRequest exec;
  exec.wait = kBootLimit;
  if (!run.own_program) {
    exec.argv = request.command;
    exec.env = request.env;
    exec.workdir = request.workdir;
    exec.user = request.user;
  }
  if (flags.streams.terminal) {
    auto size = sys::window_size(STDIN_FILENO).value_or(sys::WindowSize{});
    exec.terminal = engine::GuestTerminal{size.rows, size.columns};
  }
  agent::Session session = COCOON_TRY(engine::begin_exec(ports, run.vm, exec));
  return pump_session(app.output(), session, flags.streams);
}

Result<int> run_attached(App& app, const VmRun& flags, const engine::CreateRequest& request) {
  COCOON_TRY(check_streams(flags.streams));
  engine::Ports* ports = COCOON_TRY(app.ports());
  engine::AttachedRun run = COCOON_TRY(engine::run_attached(*ports, request, flags.remove));
  auto code = attend(app, *ports, flags, request, run);
  COCOON_TRY(engine::end_attached(*ports, run, code.has_value(), flags.remove));
  return code;
}

Result<int> run(App& app, const VmRun& flags, const Arguments& arguments) {
  engine::CreateRequest request = COCOON_TRY(make_request(flags.create, arguments));
  PullPolicy pull = pull_policy(flags.pull, PullPolicy::kMissing);
  if (!flags.attaches()) {
    COCOON_TRY(ensure_image(app, request.image, pull));
    return run_detached(app, flags, request);
  }
  auto fetched = ensure_image(app, request.image, pull);
  auto code =
      fetched ? run_attached(app, flags, request) : Result<int>(pass(std::move(fetched).error()));
  if (code || code.error().kind == ErrorKind::kInterrupted) return code;
  if (!app.output().reader_gone()) app.output().error(code.error());
  return kOurFailure;  // the others are the guest program's (design §11)
}

std::vector<Flag> attach_flags(VmRun& flags) {
  return {{.name = "interactive",
           .short_name = 'i',
           .target = &flags.streams.input,
           .help = "attach to the command, with standard input"},
          {.name = "tty",
           .short_name = 't',
           .target = &flags.streams.terminal,
           .help = "attach to the command, with a terminal"},
          {.name = "rm",
           .target = &flags.remove,
           .help = "attach to the command, and remove the VM when it has ended"},
          {.name = "wait", .target = &flags.wait, .help = "wait until the guest is ready"}};
}

}  // namespace

Command vm_run_command() {
  auto flags = std::make_shared<VmRun>();
  Command command;
  command.path = "vm run";
  command.usage = "IMAGE";
  command.summary = "Create a VM and start it";
  command.details = fmt::format(
      "{}\n\n"
      "With -i, -t or --rm the command's streams are here, and its exit code is ours; 125 is a\n"
      "failure of our own, 126 and 127 say that the command did not start.",
      kDataDiskDetails);
  command.flags = create_flag_table(flags->create);
  command.flags.push_back(pull_flag(&flags->pull, PullPolicy::kMissing));
  command.flags.push_back(output_flag(&flags->format));
  for (Flag& flag : attach_flags(*flags)) command.flags.push_back(std::move(flag));
  command.min_names = command.max_names = 1;
  command.takes_command = true;
  command.names = Names::kImage;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
