// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace cocoon::guest {
namespace {

/// The child's ends.
struct Ends {
  UniqueFd in;
  UniqueFd out;
  UniqueFd err;
  UniqueFd start;
  bool terminal = false;
};

Result<void> make_pipe(UniqueFd& reading, UniqueFd& writing) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  reading = UniqueFd(ends[0]);
  writing = UniqueFd(ends[1]);
  return {};
}

void set_nonblocking(const UniqueFd& fd) {
  if (fd) ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

Result<void> make_pipes(ChildStreams& ours, Ends& theirs) {
  COCOON_GUEST_TRY(make_pipe(theirs.in, ours.in));
  COCOON_GUEST_TRY(make_pipe(ours.out, theirs.out));
  COCOON_GUEST_TRY(make_pipe(ours.err, theirs.err));
  return {};
}

/// A pseudo terminal; the slave is reached through the master, whatever lies in /dev/pts.
Result<void> make_terminal(TerminalSize size, ChildStreams& ours, Ends& theirs) {
  for (const char* path : {"/dev/ptmx", "/dev/pts/ptmx"}) {
    ours.in = UniqueFd(::open(path, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (ours.in) break;
  }
  if (!ours.in) return fail_errno("terminal", "/dev/ptmx");
  int unlock = 0;
  if (::ioctl(ours.in.get(), TIOCSPTLCK, &unlock) != 0) return fail_errno("terminal", "unlock");
  theirs.in = UniqueFd(::ioctl(ours.in.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!theirs.in) return fail_errno("terminal", "slave");
  const winsize window{.ws_row = size.rows, .ws_col = size.cols, .ws_xpixel = 0, .ws_ypixel = 0};
  if (size.rows > 0) ::ioctl(ours.in.get(), TIOCSWINSZ, &window);
  theirs.out = UniqueFd(::fcntl(theirs.in.get(), F_DUPFD_CLOEXEC, 3));
  theirs.err = UniqueFd(::fcntl(theirs.in.get(), F_DUPFD_CLOEXEC, 3));
  theirs.terminal = true;
  return {};
}

/// In the child. The ends lie above 2, because 0 to 2 are always open in the guest program.
bool take_streams(const Ends& ends, uid_t owner) {
  ::setsid();
  if (ends.terminal) {
    if (::ioctl(ends.in.get(), TIOCSCTTY, 0) != 0) return false;
    (void)!::fchown(ends.in.get(), owner, static_cast<gid_t>(-1));
  }
  return ::dup2(ends.in.get(), STDIN_FILENO) >= 0 && ::dup2(ends.out.get(), STDOUT_FILENO) >= 0 &&
         ::dup2(ends.err.get(), STDERR_FILENO) >= 0;
}

[[noreturn]] void run_program(const Program& program, const Ends& ends) {
  StartFailure failure{StartFailure::Step::kTerminal, 0};
  if (take_streams(ends, program.credentials.uid)) {
    failure = exec_program(program);
  } else {
    failure.error = errno;
  }
  write_all(ends.start.get(),
            std::string_view(reinterpret_cast<const char*>(&failure), sizeof failure));
  ::_exit(kExitBootFailed);
}

[[noreturn]] void run_task(const std::function<int()>& work, const Ends& ends) {
  if (!take_streams(ends, 0)) ::_exit(kExitBootFailed);
  // No exec closes what is the agent's: its links above all.
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  clean_signals();
  ::_exit(work());
}

Result<Child> fork_child(const std::function<void(const Ends&)>& body, Ends& theirs,
                         ChildStreams& ours) {
  COCOON_GUEST_TRY(make_pipe(ours.start, theirs.start));
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork");
  if (pid == 0) body(theirs);
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) {
    const int error = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail_errno("pidfd", "", error);
  }
  for (const UniqueFd* fd : {&ours.in, &ours.out, &ours.err, &ours.start}) set_nonblocking(*fd);
  return Child(pid, std::move(pidfd));
}

}  // namespace

void Child::signal(int number) const {
  if (!running()) return;
  ::kill(-pid_, number);
  ::kill(pid_, number);  // it may not lead its group yet
}

std::optional<int> Child::reap() {
  int status = 0;
  if (!running() || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  // What it has left behind in its session is not ours to end: a background child lives on.
  pidfd_.reset();
  return status;
}

Result<Child> start_child(const Program& program, std::optional<TerminalSize> terminal,
                          ChildStreams& streams) {
  Ends theirs;
  COCOON_GUEST_TRY(terminal ? make_terminal(*terminal, streams, theirs)
                            : make_pipes(streams, theirs));
  return fork_child([&program](const Ends& ends) { run_program(program, ends); }, theirs, streams);
}

Result<Child> start_task(const std::function<int()>& work, ChildStreams& streams) {
  Ends theirs;
  COCOON_GUEST_TRY(make_pipes(streams, theirs));
  return fork_child([&work](const Ends& ends) { run_task(work, ends); }, theirs, streams);
}

}  // namespace cocoon::guest
