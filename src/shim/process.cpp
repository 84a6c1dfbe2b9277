// SPDX-License-Identifier: Apache-2.0
#include "shim/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>

#include <array>

#include "shim/files.h"

namespace cocoon::shim {

std::optional<std::uint64_t> parse_start_time(std::string_view stat) {
  const std::size_t close = stat.rfind(')');
  if (close == std::string_view::npos || stat.size() < close + 2) return std::nullopt;
  stat.remove_prefix(close + 2);
  constexpr int kFirstFieldAfterName = 3;
  constexpr int kStartTime = 22;
  for (int field = kFirstFieldAfterName; field < kStartTime; ++field) take_until(stat, ' ');
  std::uint64_t ticks = 0;
  if (!parse_number(take_until(stat, ' '), ticks)) return std::nullopt;
  return ticks;
}

std::optional<std::uint64_t> read_start_time(pid_t pid) {
  Text<64> path("/proc/");
  path.add_number(pid).add("/stat");
  std::array<char, 1024> buffer{};
  std::size_t used = 0;
  if (!read_file_at(AT_FDCWD, path.c_str(), buffer, used).ok) return std::nullopt;
  return parse_start_time({buffer.data(), used});
}

UniqueFd open_pidfd(pid_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
}

void send_signal(int pidfd, int signal) {
  static_cast<void>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0U));
}

bool has_ended(int pidfd) {
  pollfd entry{pidfd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

UniqueFd open_process(const ProcessRef& process) {
  if (process.pid <= 0) return {};
  UniqueFd pidfd = open_pidfd(process.pid);
  if (!pidfd.valid()) return {};
  const std::optional<std::uint64_t> start = read_start_time(process.pid);
  // Still alive after the start time was read: so it was this process's, not a successor's.
  if (start != process.start_time || has_ended(pidfd.get())) return {};
  return pidfd;
}

Outcome read_boot_id(BootId& boot_id) {
  constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
  std::array<char, 64> buffer{};
  std::size_t used = 0;
  if (Outcome outcome = read_file_at(AT_FDCWD, kPath, buffer, used); !outcome.ok) return outcome;
  std::string_view text(buffer.data(), used);
  boot_id = BootId(take_until(text, '\n'));
  if (boot_id.empty()) return failure("the host's boot id is empty");
  return success();
}

}  // namespace cocoon::shim
