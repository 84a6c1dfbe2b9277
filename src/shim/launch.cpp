// SPDX-License-Identifier: Apache-2.0
#include "shim/launch.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "shim/files.h"
#include "shim/launch_child.h"

namespace cocoon::shim {
namespace {

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};

Outcome open_pipe(Pipe& pipe) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failure_errno("pipe");
  pipe.reader = UniqueFd(ends[0]);
  pipe.writer = UniqueFd(ends[1]);
  return success();
}

void reap(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
}

// /proc/self/cgroup has a line "0::PATH", seen from the root of the hierarchy (cgroups(7)).
bool is_in_cgroup(std::string_view directory) {
  constexpr std::string_view kUnified = "0::";
  std::array<char, 4096> buffer{};
  std::size_t used = 0;
  if (!read_file_at(AT_FDCWD, "/proc/self/cgroup", buffer, used).ok) return false;
  std::string_view text(buffer.data(), used);
  while (!text.empty()) {
    const std::string_view line = take_until(text, '\n');
    if (line.starts_with(kUnified)) return directory.ends_with(line.substr(kUnified.size()));
  }
  return false;
}

// fork(2) into a cgroup: a process that moves there later waits for a grace period of RCU, which is
// many milliseconds. Linux 5.7; -1 where it does not work.
pid_t fork_into(std::string_view directory) {
  const UniqueFd target(open_directory(directory.data()));
  if (!target.valid()) return -1;
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(target.get());
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

}  // namespace

int join_cgroup(std::string_view directory) {
  if (directory.empty() || is_in_cgroup(directory)) return 0;
  Text<4200> path(directory);
  path.add("/cgroup.procs");
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  // "0" is the writer itself (cgroups(7)), whatever pid namespace the file system belongs to.
  if (!file.valid() || !write_all(file.get(), "0")) return errno;
  return 0;
}

PendingVmm::~PendingVmm() {
  if (process_.pid <= 0 || released_) return;
  // Unreaped, so the pid is still the child's.
  ::kill(process_.pid, SIGKILL);
  reap(process_.pid);
}

Outcome PendingVmm::fork_child(const VmmPlan& plan) {
  Pipe go;
  Pipe errors;
  if (Outcome outcome = open_pipe(go); !outcome.ok) return outcome;
  if (Outcome outcome = open_pipe(errors); !outcome.ok) return outcome;
  pid_t pid = plan.config.cgroup.empty() ? -1 : fork_into(plan.config.cgroup);
  if (pid < 0) pid = ::fork();  // the child goes there by itself, and says why it cannot
  if (pid < 0) return failure_errno("fork");
  if (pid == 0) {
    // The child must see end of file on `go` when this shim dies.
    go.writer.reset();
    become_vmm(plan, go.reader.get(), errors.writer.get());
  }
  process_.pid = pid;
  go_ = std::move(go.writer);
  errors_ = std::move(errors.reader);
  pidfd_ = open_pidfd(pid);
  if (!pidfd_.valid()) return failure_errno("pidfd_open");
  const std::optional<std::uint64_t> start = read_start_time(pid);
  if (!start) return failure("start time of the VMM cannot be read");
  process_.start_time = *start;
  return success();
}

Outcome PendingVmm::release() {
  // Whoever asked for the VMM may have died: then the next command may have found nothing to end.
  pollfd asker{STDOUT_FILENO, 0, 0};
  if (::poll(&asker, 1, 0) > 0 && (asker.revents & POLLERR) != 0) {
    return failure("nobody waits for the VMM any more");
  }
  // A child that has failed already does not read; its words below say why. SIGPIPE is ignored.
  static_cast<void>(write_all(go_.get(), "g"));
  go_.reset();
  std::array<char, 512> buffer{};
  std::size_t used = 0;
  while (used < buffer.size()) {
    const ssize_t size = ::read(errors_.get(), buffer.data() + used, buffer.size() - used);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    used += static_cast<std::size_t>(size);
  }
  errors_.reset();
  if (used > 0) return failure({buffer.data(), used});
  released_ = true;
  return success();
}

}  // namespace cocoon::shim
