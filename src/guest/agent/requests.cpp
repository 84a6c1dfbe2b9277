// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/requests.h"

#include <signal.h>
#include <sys/wait.h>

#include <array>

#include "guest/agent/entropy.h"
#include "guest/fd.h"
#include "guest/program.h"

namespace cocoon::guest {
namespace {

/// The program that tells the running init, whichever that is, to end the system.
bool run_detached(const char* name) {
  const pid_t pid = ::fork();
  if (pid < 0) return false;
  if (pid == 0) {
    ::setsid();
    clean_signals();
    const std::array<std::string, 4> dirs{"/sbin/", "/usr/sbin/", "/bin/", "/usr/bin/"};
    for (const std::string& dir : dirs) {
      std::string path = dir + name;
      std::array<char*, 2> argv{path.data(), nullptr};
      ::execv(path.c_str(), argv.data());
    }
    ::_exit(kExitNotFound);
  }
  int status = 0;
  const Deadline deadline(std::chrono::seconds(5));
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (deadline.passed()) return true;  // it waits for the end that it has begun
    pause_for(std::chrono::milliseconds(20));
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int reseed(const agent_wire::Frame& frame) {
  std::string failures;
  const auto note = [&failures](const Result<void>& result) {
    if (result) return;
    if (!failures.empty()) failures += "; ";
    failures += result.error().text();
  };
  note(add_entropy(frame.data));
  note(forget_stored_seed());
  if (frame.regen_machine_id) note(renew_machine_id());
  if (failures.empty()) return 0;
  write_all(STDOUT_FILENO, failures);
  return 1;
}

Result<void> request_shutdown(bool reboot, bool own_pid_1) {
  // Our own PID 1 ends its program, then everything else; how it ends the VM was said at boot.
  if (own_pid_1) {
    if (::kill(1, SIGTERM) != 0) return fail_errno("shutdown", "kill");
    return {};
  }
  if (run_detached(reboot ? "reboot" : "poweroff")) return {};
  // busybox's signals; systemd powers off at SIGRTMIN+4, reboots at SIGRTMIN+5.
  const bool systemd = ::access("/run/systemd/system", F_OK) == 0;
  const int by_systemd = SIGRTMIN + (reboot ? 5 : 4);
  if (::kill(1, systemd ? by_systemd : (reboot ? SIGTERM : SIGUSR2)) != 0)
    return fail_errno("shutdown", "kill");
  return {};
}

}  // namespace cocoon::guest
