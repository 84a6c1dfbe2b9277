// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/vm/create_flags.h"
#include "cli/vm/vm.h"
#include "engine/vm_debug.h"

namespace cocoon::cli {
namespace {

std::string_view boot_mode(const model::Vm& vm) {
  if (!vm.boot.firmware.empty()) return "UEFI";
  return vm.boot.boot_kit ? "direct boot, boot kit" : "direct boot, the image's own kernel";
}

// Words that a shell reads back as they are.
std::string shell_word(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:,@%+";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) {
    return std::string(word);
  }
  std::string out = "'";
  for (char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// One option a line, its value beside it.
std::string command_text(const vmm::Launch& launch) {
  std::string out = shell_word(launch.program);
  for (const std::string& arg : launch.args) {
    bool is_option = arg.starts_with('-');
    out += is_option ? " \\\n  " : " ";
    out += shell_word(arg);
  }
  return out;
}

// The calls that follow the launch, as they could be made by hand.
std::string calls_text(const vmm::Launch& launch) {
  std::string out;
  for (const vmm::ApiCall& call : launch.calls) {
    out += fmt::format("curl --fail-with-body --unix-socket {} -X {} {}",
                       shell_word(launch.api_socket), call.method,
                       shell_word("http://localhost" + call.path));
    if (!call.body.is_null()) {
      out += " \\\n  -H 'Content-Type: application/json' -d " + shell_word(call.body.dump(2));
    }
    out += "\n";
  }
  return out;
}

Result<int> run(App& app, const CreateFlags& flags, const engine::DebugChanges& changes,
                const Arguments& arguments) {
  engine::CreateRequest request = COCOON_TRY(make_request(flags, arguments));
  engine::Ports* ports = COCOON_TRY(app.ports());
  auto plan =
      COCOON_TRY(engine::plan_debug(*ports, request, changes), "debug \"{}\"", request.image);
  Output& out = app.output();
  out.line(fmt::format("# VM {} from {}: {}, {} ({})", plan.vm.config.name, request.image,
                       boot_mode(plan.vm), plan.vm.hypervisor, plan.accel));
  out.line("# run as a uid of its own, without capabilities, in the VM's directory:");
  out.line("cd " + shell_word(plan.dir.native()));
  out.line(command_text(plan.launch) + (plan.launch.calls.empty() ? "" : " &"));
  if (!plan.launch.calls.empty()) {
    out.line("# and once it listens:");
    out.print(calls_text(plan.launch));
  }
  if (!request.data_disks.empty()) {
    out.remark("the data disks are shown as they would be attached; vm debug makes none");
  }
  return 0;
}

std::vector<Flag> change_flags(engine::DebugChanges& changes) {
  return {
      {.name = "max-cpu",
       .target = &changes.max_cpu,
       .help = "Cloud Hypervisor: room for this many virtual CPUs (default: --cpu)",
       .value_name = "N"},
      {.name = "balloon",
       .target = &changes.balloon,
       .help = "Cloud Hypervisor: MiB that the balloon takes (default 0)",
       .value_name = "MIB"},
      {.name = "cow",
       .target = &changes.cow,
       .help = "Cloud Hypervisor: file of the root disk",
       .value_name = "FILE",
       .completes = Names::kFile},
      {.name = "ch",
       .target = &changes.cloud_hypervisor,
       .help = "Cloud Hypervisor's program",
       .value_name = "PROGRAM",
       .completes = Names::kFile},
  };
}

}  // namespace

Command vm_debug_command() {
  auto flags = std::make_shared<CreateFlags>();
  auto changes = std::make_shared<engine::DebugChanges>();
  Command command;
  command.path = "vm debug";
  command.usage = "IMAGE";
  command.summary = "Show how a VM would be launched; nothing is made or started";
  command.details = kDataDiskDetails;
  command.flags = create_flag_table(*flags);
  for (Flag& flag : change_flags(*changes)) command.flags.push_back(std::move(flag));
  command.min_names = command.max_names = 1;
  command.takes_command = true;
  command.names = Names::kImage;
  command.run = [flags, changes](App& app, const Arguments& arguments) {
    return run(app, *flags, *changes, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
