// SPDX-License-Identifier: Apache-2.0
#include "guest/supervisor.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

#include <array>
#include <optional>

namespace cocoon::guest {
namespace {

constexpr std::array kStopSignals{SIGTERM, SIGINT, SIGPWR, SIGUSR1, SIGUSR2};

sigset_t handled_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  for (const int signal : kStopSignals) ::sigaddset(&set, signal);
  return set;
}

/// Reaps whatever has ended; the exit code of `wanted` if it was among them.
///
/// Ctrl-Z and the like must not stop the entrypoint for good: nobody inside could resume it. (Under
/// a container engine its process group is an orphaned one, which the terminal cannot stop; ours
/// has a parent in the session.) A SIGSTOP is left in force: somebody meant it.
std::optional<int> reap(pid_t wanted) {
  std::optional<int> code;
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0;) {
    if (WIFSTOPPED(status)) {
      if (WSTOPSIG(status) == SIGSTOP) continue;
      // Into the foreground, or reading would stop it again at once.
      ::tcsetpgrp(STDIN_FILENO, pid);
      ::kill(-pid, SIGCONT);
    } else if (pid == wanted) {
      code = exit_code_of(status);
    }
  }
  return code;
}

/// Whether a stop was asked for by signal.
bool read_signals(int fd) {
  bool stop = false;
  signalfd_siginfo info{};
  while (::read(fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info))
    stop |= info.ssi_signo != SIGCHLD;
  return stop;
}

/// The three stages of a stop: asked, killed, given up.
class Stop {
 public:
  Stop(pid_t entrypoint, const Patience& patience) : entrypoint_(entrypoint), patience_(patience) {}

  void ask() {
    if (deadline_) return;
    ::kill(-entrypoint_, SIGTERM);
    ::kill(-entrypoint_, SIGCONT);  // a stopped one would never see it
    deadline_.emplace(patience_.entrypoint);
  }

  /// For poll(): -1 while nobody has asked.
  int wait_ms() const { return deadline_ ? static_cast<int>(deadline_->left().count()) : -1; }

  /// Goes on to the next stage when it is time; true when there is none left.
  bool advance() {
    if (!deadline_ || !deadline_->passed()) return false;
    if (killed_) return true;
    ::kill(-entrypoint_, SIGKILL);
    deadline_.emplace(patience_.killed);
    killed_ = true;
    return false;
  }

 private:
  pid_t entrypoint_;
  Patience patience_;
  std::optional<Deadline> deadline_;
  bool killed_ = false;
};

/// Reaps until no child is left (then true) or the deadline has passed.
bool reap_all(Deadline deadline) {
  for (;;) {
    reap(0);
    if (::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD) return true;
    if (deadline.passed()) return false;
    sigset_t child;
    ::sigemptyset(&child);
    ::sigaddset(&child, SIGCHLD);
    const timespec tick{.tv_sec = 0, .tv_nsec = 50'000'000};
    ::sigtimedwait(&child, nullptr, &tick);
  }
}

}  // namespace

void block_signals() {
  const sigset_t set = handled_signals();
  ::sigprocmask(SIG_SETMASK, &set, nullptr);
  // Terminal signals must not stop PID 1 when it writes or sets the terminal from the background.
  sigset_t terminal;
  ::sigemptyset(&terminal);
  for (const int signal : {SIGTTOU, SIGTTIN, SIGTSTP, SIGHUP, SIGPIPE})
    ::sigaddset(&terminal, signal);
  ::sigprocmask(SIG_BLOCK, &terminal, nullptr);
}

int exit_code_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int supervise(pid_t entrypoint, PowerButton& button, const Patience& patience) {
  const sigset_t set = handled_signals();
  const UniqueFd signals(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  Stop stop(entrypoint, patience);
  for (;;) {
    std::vector<pollfd> ready = button.poll_set();
    ready.push_back({.fd = signals.get(), .events = POLLIN, .revents = 0});
    ::poll(ready.data(), ready.size(), stop.wait_ms());
    const bool asked = read_signals(signals.get());
    if (const auto code = reap(entrypoint)) return *code;
    if (button.pressed() || asked) stop.ask();
    if (stop.advance()) return 128 + SIGKILL;
  }
}

void end_processes(const Patience& patience) {
  // Kernel threads count for kill(-1), so only the absence of children says that nobody is left:
  // every process descends from PID 1.
  if (reap_all(Deadline(std::chrono::milliseconds(0)))) return;
  ::kill(-1, SIGTERM);
  ::kill(-1, SIGCONT);
  if (reap_all(Deadline(patience.leftovers))) return;
  ::kill(-1, SIGKILL);
  reap_all(Deadline(patience.killed));
}

}  // namespace cocoon::guest
