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

Result<int> run(App& app, const CreateFlags& flags, const Arguments& arguments) {
  engine::CreateRequest request = COCOON_TRY(make_request(flags, arguments));
  engine::Ports* ports = COCOON_TRY(app.ports());
  auto plan = COCOON_TRY(engine::plan_debug(*ports, request), "debug \"{}\"", request.image);
  Output& out = app.output();
  out.line(fmt::format("# VM {} from {}: {}, {} ({})", plan.vm.config.name, request.image,
                       boot_mode(plan.vm), plan.vm.hypervisor, plan.accel));
  out.line("# run as a uid of its own, without capabilities, in the VM's directory:");
  out.line("cd " + shell_word(plan.dir.native()));
  out.line(command_text(plan.launch));
  if (!request.data_disks.empty()) {
    out.remark("the data disks are shown as they would be attached; vm debug makes none");
  }
  return 0;
}

}  // namespace

Command vm_debug_command() {
  auto flags = std::make_shared<CreateFlags>();
  Command command;
  command.path = "vm debug";
  command.usage = "IMAGE";
  command.summary = "Show how a VM would be launched; nothing is made or started";
  command.details = kCreateDetails;
  command.flags = create_flag_table(*flags);
  command.min_names = command.max_names = 1;
  command.takes_command = true;
  command.names = Names::kImage;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
