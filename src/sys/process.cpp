// SPDX-License-Identifier: Apache-2.0
#include "sys/process.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>

#include "base/text.h"
#include "sys/cancel.h"
#include "sys/files.h"

namespace cocoon::sys {

std::optional<std::uint64_t> process_start_time(pid_t pid) {
  auto stat = read_file(fmt::format("/proc/{}/stat", pid), 4096);
  if (!stat) return std::nullopt;
  // The command name is in brackets and may hold anything, so fields count from the last ')'.
  auto close = stat->rfind(')');
  if (close == std::string::npos || close + 2 >= stat->size()) return std::nullopt;
  auto fields = split(std::string_view(*stat).substr(close + 2), ' ');
  constexpr std::size_t kStart = 22 - 3;  // the first field after the name is number 3
  if (fields.size() <= kStart) return std::nullopt;
  return parse_decimal(fields[kStart]);
}

ProcessRef self_process() { return {getpid(), process_start_time(getpid()).value_or(0)}; }

Result<std::optional<LiveProcess>> LiveProcess::open(ProcessRef ref) {
  if (ref.pid <= 0) return std::optional<LiveProcess>();
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, ref.pid, 0)));
  if (!fd.valid() && errno == ESRCH) return std::optional<LiveProcess>();
  if (!fd.valid()) return fail_errno(fmt::format("open process {}", ref.pid));
  // Checked after the open: the descriptor now holds whoever it is.
  if (process_start_time(ref.pid) != ref.start_time) return std::optional<LiveProcess>();
  // Not its state: a process whose first thread has ended reads "zombie" while the others run on.
  pollfd ended{fd.get(), POLLIN, 0};
  if (poll(&ended, 1, 0) > 0) return std::optional<LiveProcess>();
  return std::optional<LiveProcess>(LiveProcess(std::move(fd)));
}

Result<void> LiveProcess::signal(int signo) const {
  if (syscall(SYS_pidfd_send_signal, pidfd_.get(), signo, nullptr, 0) != 0 && errno != ESRCH) {
    return fail_errno(fmt::format("send signal {}", signo));
  }
  return {};
}

Result<bool> LiveProcess::wait_exit(Milliseconds limit) const {
  Deadline deadline = deadline_in(limit);
  while (true) {
    std::array<pollfd, 2> entries{pollfd{pidfd_.get(), POLLIN, 0}, pollfd{cancel_fd(), POLLIN, 0}};
    int ready = poll(entries.data(), entries.size(), static_cast<int>(time_left(deadline).count()));
    if (ready < 0 && errno != EINTR) return fail_errno("wait for a process");
    if (ready > 0 && entries[0].revents != 0) return true;
    COCOON_TRY(check_cancelled());
    if (time_left(deadline).count() == 0) return false;
  }
}

bool is_alive(ProcessRef ref) {
  auto process = LiveProcess::open(ref);
  return process && process->has_value();
}

Result<void> terminate(ProcessRef ref, Milliseconds grace) {
  CancelShield shield;
  auto process = COCOON_TRY(LiveProcess::open(ref), "end process {}", ref.pid);
  if (!process) return {};
  if (grace.count() > 0) {
    COCOON_TRY(process->signal(SIGTERM), "end process {}", ref.pid);
    if (COCOON_TRY(process->wait_exit(grace), "end process {}", ref.pid)) return {};
  }
  COCOON_TRY(process->signal(SIGKILL), "end process {}", ref.pid);
  if (COCOON_TRY(process->wait_exit(Milliseconds(5000)), "end process {}", ref.pid)) return {};
  return fail(ErrorKind::kTimeout, "process {} is still there 5 s after SIGKILL", ref.pid);
}

Result<std::string> host_boot_id() {
  std::string text =
      COCOON_TRY(read_file("/proc/sys/kernel/random/boot_id", 256), "read the boot id");
  return std::string(trim(text));
}

}  // namespace cocoon::sys
