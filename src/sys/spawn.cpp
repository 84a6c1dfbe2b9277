// SPDX-License-Identifier: Apache-2.0
#include "sys/spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "sys/cancel.h"
#include "sys/files.h"

namespace cocoon::sys {
namespace {

constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct ChildPlan {
  const char* program;
  char* const* argv;
  char* const* envp;
  const char* cwd;
  int error_pipe;
  const Pipe* gate;  // the parent's leave to go on; null: it is not asked for
  pid_t parent;
  const SpawnSpec* spec;
  std::vector<std::pair<int, int>> fds;  // complete map, 0–2 included
};

// Everything below runs between fork and exec: only async-signal-safe calls.
[[noreturn]] void child_fail(int error_pipe) {
  int saved = errno;
  ssize_t put = write(error_pipe, &saved, sizeof saved);
  _exit(put == sizeof saved ? 127 : 126);
}

void place_descriptors(ChildPlan& plan) {
  constexpr int kHigh = 200;
  // First lift everything above the targets, so that no target overwrites a source.
  for (auto& [from, to] : plan.fds) {
    int lifted = fcntl(from, F_DUPFD_CLOEXEC, kHigh);
    if (lifted < 0) child_fail(plan.error_pipe);
    from = lifted;
  }
  int pipe = fcntl(plan.error_pipe, F_DUPFD_CLOEXEC, kHigh);
  if (pipe < 0) child_fail(plan.error_pipe);
  plan.error_pipe = pipe;
  for (auto [from, to] : plan.fds) {
    if (dup2(from, to) < 0) child_fail(plan.error_pipe);
  }
  int highest = 2;
  for (auto [from, to] : plan.fds) highest = to > highest ? to : highest;
  // Everything else is closed at exec, also what a library opened without close-on-exec.
  syscall(SYS_close_range, highest + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

// The pipe ends without a byte when the parent refuses, or dies.
void wait_for_leave(const Pipe& gate) {
  close(gate.write_end.get());
  char byte = 0;
  ssize_t got = 0;
  do {
    got = read(gate.read_end.get(), &byte, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) _exit(126);
}

[[noreturn]] void run_child(ChildPlan& plan) {
  const SpawnSpec& spec = *plan.spec;
  if (plan.gate != nullptr) wait_for_leave(*plan.gate);
  if (spec.new_session) setsid();
  for (int signo = 1; signo < NSIG; ++signo) signal(signo, SIG_DFL);
  place_descriptors(plan);
  if (plan.cwd != nullptr && chdir(plan.cwd) != 0) child_fail(plan.error_pipe);
  if (spec.user) {
    auto [uid, gid] = *spec.user;
    // The calls themselves: glibc's would tell the parent's threads, which are not here.
    if (syscall(SYS_setgroups, 0, nullptr) != 0 || syscall(SYS_setresgid, gid, gid, gid) != 0 ||
        syscall(SYS_setresuid, uid, uid, uid) != 0) {
      child_fail(plan.error_pipe);
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  }
  if (spec.die_with_parent) {  // after the change of rights, which clears it
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != plan.parent) _exit(126);  // the parent died before prctl
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(plan.program, plan.argv, plan.envp);
  child_fail(plan.error_pipe);
}

// fork(2) into a cgroup: moving a process there later makes the caller wait for a grace period of
// RCU, which is many milliseconds. Linux 5.7; -1 where it does not work.
pid_t fork_into(int cgroup) {
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(cgroup);
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
}

// fork(2); `cgroup` as in SpawnSpec.
pid_t fork_child(const fs::path& cgroup) {
  if (cgroup.empty()) return fork();
  auto dir = open_dir(cgroup);
  pid_t pid = dir ? fork_into(dir->get()) : -1;
  if (pid >= 0) return pid;
  pid = fork();
  if (pid > 0) {
    auto procs = open_file(cgroup / "cgroup.procs", O_WRONLY);
    if (procs) ignore(write_all(procs->get(), std::to_string(pid)), "it stays here");
  }
  return pid;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// The descriptor map with /dev/null for whatever of 0–2 is not named.
std::vector<std::pair<int, int>> complete_fds(const SpawnSpec& spec, int null_fd) {
  auto fds = spec.fds;
  for (int number = 0; number <= 2; ++number) {
    bool named =
        std::any_of(fds.begin(), fds.end(), [&](auto& pair) { return pair.second == number; });
    if (!named) fds.emplace_back(null_fd, number);
  }
  return fds;
}

}  // namespace

std::optional<std::string> find_program(std::string_view name) {
  if (name.find('/') != std::string_view::npos) {
    std::string path(name);
    if (access(path.c_str(), X_OK) == 0) return path;
    return std::nullopt;
  }
  const char* path = getenv("PATH");
  for (std::string_view dir : split(path == nullptr || *path == 0 ? kDefaultPath : path, ':')) {
    std::string candidate = fmt::format("{}/{}", dir.empty() ? "." : dir, name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

Result<std::string> libexec_dir() {
  std::error_code error;
  fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorKind::kSystem, "read /proc/self/exe: {}", error.message());
  fs::path dir = self.parent_path();
  if (dir.filename() == "cocoon" && dir.parent_path().filename() == "libexec") return dir.native();
  return (dir.parent_path() / "libexec" / "cocoon").native();
}

Result<Child> spawn(const SpawnSpec& spec) {
  auto program = find_program(spec.program);
  if (!program) return fail(ErrorKind::kNotFound, "{}: no such program", spec.program);
  std::vector<std::string> args{spec.program};
  args.insert(args.end(), spec.args.begin(), spec.args.end());
  std::vector<std::string> env = spec.env;
  if (env.empty()) {
    const char* path = getenv("PATH");
    env = {fmt::format("PATH={}", path == nullptr ? kDefaultPath : path), "LC_ALL=C.UTF-8"};
  }
  auto argv = pointers(args);
  auto envp = pointers(env);
  Pipe errors = COCOON_TRY(make_pipe());
  std::optional<Pipe> gate;
  if (spec.before_exec) gate = COCOON_TRY(make_pipe());
  UniqueFd null_fd = COCOON_TRY(open_file("/dev/null", O_RDWR));
  ChildPlan plan{program->c_str(),
                 argv.data(),
                 envp.data(),
                 spec.cwd.empty() ? nullptr : spec.cwd.c_str(),
                 errors.write_end.get(),
                 gate ? &*gate : nullptr,
                 getpid(),
                 &spec,
                 complete_fds(spec, null_fd.get())};
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);  // no handler of ours runs in the child
  pid_t pid = fork_child(spec.cgroup);
  if (pid == 0) run_child(plan);
  int fork_errno = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return fail_errno(fork_errno, "fork");
  errors.write_end.reset();
  Child child(pid, UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))));
  if (gate) {
    COCOON_TRY(spec.before_exec(pid));
    COCOON_TRY(write_all(gate->write_end.get(), "x"));
  }
  int child_errno = 0;
  ssize_t got = 0;
  do {
    got = read(errors.read_end.get(), &child_errno, sizeof child_errno);
  } while (got < 0 && errno == EINTR);
  if (got == sizeof child_errno) {
    return fail_errno(child_errno, fmt::format("start {}", *program));
  }
  return child;
}

Child::~Child() {
  if (pid_ > 0) kill_now();
}

void Child::kill_now() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

Result<int> Child::wait(Deadline deadline) {
  while (true) {
    std::array<pollfd, 2> entries{pollfd{pidfd_.get(), POLLIN, 0}, pollfd{cancel_fd(), POLLIN, 0}};
    int ready = poll(entries.data(), entries.size(), static_cast<int>(time_left(deadline).count()));
    if (ready < 0 && errno != EINTR) return fail_errno("wait for a program");
    if (ready > 0 && entries[0].revents != 0) {
      int status = 0;
      while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
      }
      pid_ = -1;
      return status;
    }
    if (cancelled()) {
      kill_now();
      return fail(ErrorKind::kInterrupted, "interrupted");
    }
    if (time_left(deadline).count() == 0) {
      kill_now();
      return fail(ErrorKind::kTimeout, "no end in time; killed");
    }
  }
}

std::string describe_wait_status(int status) {
  if (WIFSIGNALED(status)) {
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  }
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

Result<std::string> run_program(SpawnSpec spec, Milliseconds limit) {
  constexpr std::size_t kKeep = 64 * 1024;
  Deadline deadline = deadline_in(limit);
  Pipe output = COCOON_TRY(make_pipe());
  spec.fds.emplace_back(output.write_end.get(), 1);
  spec.fds.emplace_back(output.write_end.get(), 2);
  Child child = COCOON_TRY(spawn(spec));
  output.write_end.reset();
  std::string text;
  std::array<char, 4096> chunk{};
  while (!cancelled() && time_left(deadline).count() > 0) {  // wait() says which
    std::array<pollfd, 2> entries{pollfd{output.read_end.get(), POLLIN, 0},
                                  pollfd{cancel_fd(), POLLIN, 0}};
    int ready = poll(entries.data(), entries.size(), static_cast<int>(time_left(deadline).count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0 || entries[0].revents == 0) break;
    ssize_t got = read(output.read_end.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > 2 * kKeep) text.erase(0, text.size() - kKeep);
  }
  int status = COCOON_TRY(child.wait(deadline), "run {}", spec.program);
  if (status != 0) {
    std::string tail = last_lines(text, 5);
    return fail(ErrorKind::kSystem, "{}: {}{}{}", spec.program, describe_wait_status(status),
                tail.empty() ? "" : ": ", tail);
  }
  return text;
}

}  // namespace cocoon::sys
