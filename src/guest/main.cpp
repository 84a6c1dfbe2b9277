// SPDX-License-Identifier: Apache-2.0
//
// cocoon-guest: PID 1 of the boot kit's initramfs. Assembles the VM's root from its disks, applies
// what boot.json says, and runs the entrypoint (as a child, whose exit code becomes the VM's) or
// hands over to the image's init. Whatever fails, the VM ends with a reason on its console.
#include <sys/reboot.h>
#include <sys/stat.h>

#include "guest/agent/agent.h"
#include "guest/agent_main.h"
#include "guest/boot_config.h"
#include "guest/console.h"
#include "guest/disks.h"
#include "guest/ending.h"
#include "guest/identity.h"
#include "guest/kernel_mounts.h"
#include "guest/modules.h"
#include "guest/network.h"
#include "guest/power_button.h"
#include "guest/program.h"
#include "guest/root_assembly.h"
#include "guest/supervisor.h"
#include "guest/switch_root.h"

namespace cocoon::guest {
namespace {

using namespace std::chrono_literals;

constexpr const char* kBootConfigPath = "/cocoon/boot.json";
constexpr const char* kModulesDir = "/modules";
constexpr const char* kConsole = "/dev/console";
constexpr auto kConsoleLimit = 3s;
// Replaying a large journal on a slow disk under emulation is allowed to take its time.
constexpr auto kBootLimit = 300s;
constexpr auto kEndLimit = 120s;
// The disks of a VM are all there when the required ones are; a missing one must not cost the boot
// the whole time-out.
constexpr auto kOptionalDiskLimit = 2s;

/// What the end of the VM needs to know, however far the boot came.
struct Vm {
  Console console;
  Ending ending;
  Roots roots;
  char* argv0 = nullptr;  // main()'s, for the agent to write to
};

Result<BootConfig> load_config(Vm& vm) {
  const std::string text = COCOON_GUEST_TRY(read_file(kBootConfigPath, kBootConfigLimit));
  auto config = parse_boot_config(text);
  vm.ending = config ? config->ending : find_ending(text);
  return config;
}

/// Loads the modules and connects the console, whose driver may be one of them: before this, even a
/// failure could not be told.
void start_drivers(const Result<BootConfig>& config, Vm& vm) {
  load_modules(kModulesDir, config ? mounted_fstypes(*config) : std::vector<std::string>(),
               vm.console);
  const Deadline deadline(kConsoleLimit);
  while (!vm.console.connect(kConsole) && !deadline.passed()) pause_for(20ms);
  attach_standard_streams();
  arm_crash_guard(vm.ending, vm.console.fd());
}

void mount_optional_disks(const BootConfig& config, const DiskFinder& disks, Vm& vm) {
  const Deadline deadline(kOptionalDiskLimit);
  const RootDir& root = *vm.roots.root;
  if (config.modules) {
    const auto mounted = mount_modules(*config.modules, disks, deadline, root);
    if (!mounted) vm.console.say("kernel modules: " + mounted.error().text());
  }
  for (const DataMount& mount : config.mounts) {
    const auto mounted = mount_data(mount, disks, deadline, root);
    if (!mounted) vm.console.say(mounted.error().text());
  }
}

/// All that makes the new root complete, up to being in it.
Result<void> enter_root(const BootConfig& config, Vm& vm) {
  const auto command_line = read_file("/proc/cmdline", 64 * 1024);
  const std::chrono::seconds timeout(disk_timeout(command_line ? *command_line : ""));
  const DiskFinder disks("/sys/block", "/dev");
  vm.roots.root = COCOON_GUEST_TRY(assemble_root(config, disks, Deadline(timeout), vm.console));
  const RootDir& root = *vm.roots.root;
  mount_optional_disks(config, disks, vm);
  COCOON_GUEST_TRY(move_kernel_filesystems(root));
  complete_dev(root, config.run.mode, vm.console);
  apply_identity(config, root, vm.console);
  configure_network(config, root, vm.console);
  return switch_root(root, vm.roots.initramfs);
}

/// The agent of this VM. With `attach` it runs the VM's own program, once the host asks for it.
Result<pid_t> launch_agent(const BootConfig& config, Vm& vm) {
  AgentConfig agent;
  agent.env = config.run.env;
  agent.hostname = config.hostname;
  agent.end_with_pid_1 = config.run.mode == RunMode::kExec;
  agent.phase = agent.end_with_pid_1 ? "entrypoint" : "init";
  if (config.run.attach) agent.attach = config.run;
  auto started = start_agent(std::move(agent), vm.argv0);
  if (!started) vm.console.say(started.error().text());
  return started;
}

/// The exit code of the VM; does not return if the image's init takes over.
Result<int> boot_and_run(Vm& vm) {
  auto loaded = load_config(vm);
  Watchdog watchdog("boot failed: boot", kBootLimit, vm.ending, kExitBootFailed, vm.console);
  start_drivers(loaded, vm);
  const BootConfig config = COCOON_GUEST_TRY(std::move(loaded));
  COCOON_GUEST_TRY(enter_root(config, vm));
  const Program program =
      COCOON_GUEST_TRY(prepare_program(config.run, config.hostname, *vm.roots.root));
  if (config.run.mode == RunMode::kInit) {
    (void)launch_agent(config, vm);
    watchdog.stop();
    return tl::make_unexpected(become_program(program));
  }
  COCOON_GUEST_TRY(lead_session());
  PowerButton button("/dev/input");
  // Ctrl-Alt-Del, the only request to stop that Firecracker can send, becomes SIGINT to PID 1.
  ::reboot(RB_DISABLE_CAD);
  if (config.run.attach) {
    const pid_t agent = COCOON_GUEST_TRY(launch_agent(config, vm));
    watchdog.stop();
    return supervise(agent, button, Patience());
  }
  const pid_t entrypoint = COCOON_GUEST_TRY(start_program(program));
  (void)launch_agent(config, vm);
  watchdog.stop();
  return supervise(entrypoint, button, Patience());
}

[[noreturn]] void run_as_pid_1(char* argv0) {
  ::umask(022);
  block_signals();
  const auto mounted = mount_kernel_filesystems();
  attach_standard_streams();  // so that nothing of ours lands on 0 to 2
  Vm vm;
  vm.argv0 = argv0;
  vm.roots.initramfs = UniqueFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  vm.console.connect(kConsole);
  arm_crash_guard(vm.ending, vm.console.fd());

  const Result<int> result = mounted ? boot_and_run(vm) : tl::make_unexpected(mounted.error());
  const int code = result ? *result : result.error().exit_code;
  if (!result)
    vm.console.say((code == kExitBootFailed ? "boot failed: " : "") + result.error().text());
  end_processes(Patience());
  const Watchdog watchdog("end: file systems", kEndLimit, vm.ending, code, vm.console);
  release_filesystems(vm.roots, vm.console);
  end_vm(vm.ending, code, vm.console);
}

}  // namespace
}  // namespace cocoon::guest

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "agent")
    return cocoon::guest::agent_main(argc, argv);
  if (::getpid() != 1) {
    constexpr std::string_view kRefusal = "cocoon-guest runs as PID 1 of a VM, or as its agent\n";
    (void)cocoon::guest::write_all(STDERR_FILENO, kRefusal);
    return 1;
  }
  cocoon::guest::run_as_pid_1(argc > 0 ? argv[0] : nullptr);
}
