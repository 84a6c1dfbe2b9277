// SPDX-License-Identifier: Apache-2.0
#include "guest/ending.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "guest/root_assembly.h"

namespace cocoon::guest {
namespace {

constexpr std::chrono::seconds kBusyLimit{2};

int reboot_command(EndAction action) {
  return action == EndAction::kReboot ? RB_AUTOBOOT : RB_POWER_OFF;
}

[[noreturn]] void stop_machine(EndAction action) {
  ::reboot(reboot_command(action));
  // Reached only if the kernel refused. The end of PID 1 is a panic, and with panic=-1 a reboot.
  ::reboot(RB_AUTOBOOT);
  ::_exit(kExitBootFailed);
}

/// Mount namespaces of processes that have just ended go away a moment later.
bool remount_read_only(const char* path) {
  const Deadline deadline(kBusyLimit);
  while (::mount(nullptr, path, nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
    // EINVAL: not mounted, the boot did not get that far.
    if (errno != EBUSY) return errno == EINVAL || errno == ENOENT;
    if (deadline.passed()) return false;
    pause_for(std::chrono::milliseconds(20));
  }
  return true;
}

struct CrashPlan {
  std::array<char, 512> text{};
  std::size_t length = 0;
  int console = -1;
  EndAction action = EndAction::kPowerOff;
};

CrashPlan crash_plan;
std::array<char, 16 * 1024> crash_stack;

/// Only calls that are safe in a signal handler.
void on_crash(int /*signal*/) {
  if (::getpid() != 1) ::_exit(kExitBootFailed);
  (void)!::write(crash_plan.console, crash_plan.text.data(), crash_plan.length);
  pause_for(std::chrono::milliseconds(500));  // for the device to send it; draining could block
  stop_machine(crash_plan.action);
}

}  // namespace

void release_filesystems(Roots& roots, Console& console) {
  ::sync();
  // Back to the first root: the COW's own mount can be named only from there.
  if (::fchdir(roots.initramfs.get()) != 0 || ::chroot(".") != 0) {
    console.say("file systems: " + errno_text(errno));
    return;
  }
  if (roots.root) {
    // Lazily, because the console keeps /dev busy; what nothing uses is unmounted at once, data
    // disks before the call returns.
    if (::fchdir(roots.root->fd()) != 0 || ::umount2(".", MNT_DETACH) != 0)
      console.say("root: unmount: " + errno_text(errno));
    roots.root.reset();
    (void)!::chdir("/");
  }
  if (remount_read_only(kCowDir)) {
    ::umount2(kCowDir, 0);
  } else {
    console.say("COW disk: still in use: its journal will be replayed at the next boot");
  }
  ::sync();
}

void end_vm(const Ending& ending, int exit_code, Console& console) {
  console.finish(ending, exit_code);
  stop_machine(ending.action);
}

Watchdog::Watchdog(const char* phase, std::chrono::seconds limit, const Ending& ending,
                   int exit_code, Console& console)
    : pid_(::fork()) {
  if (pid_ != 0) return;  // without a child (no memory) we go on unguarded
  pause_for(limit);
  console.connect("/dev/console");
  console.say(std::string(phase) + ": took longer than " + std::to_string(limit.count()) + " s");
  end_vm(ending, exit_code, console);
}

void Watchdog::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void arm_crash_guard(const Ending& ending, int console_fd) {
  const std::string text =
      "\ncocoon: guest program crashed" + render_exit_marker(ending, kExitBootFailed);
  crash_plan.length = std::min(text.size(), crash_plan.text.size());
  std::memcpy(crash_plan.text.data(), text.data(), crash_plan.length);
  crash_plan.console = console_fd;
  crash_plan.action = ending.action;

  const stack_t stack{.ss_sp = crash_stack.data(), .ss_flags = 0, .ss_size = crash_stack.size()};
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_handler = on_crash;
  action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
    ::sigaction(signal, &action, nullptr);
}

}  // namespace cocoon::guest
