// SPDX-License-Identifier: Apache-2.0
#include "shim/setup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/fd.h"
#include "shim/files.h"
#include "shim/printable.h"

namespace cocoon::shim {
namespace {

volatile sig_atomic_t stop = 0;

void on_stop(int) { stop = 1; }
void on_alarm(int) {}

// Without SA_RESTART, so that SIGALRM ends a blocking call.
void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigaction(signal, &action, nullptr);
}

void set_up_signals() {
  for (const int signal :
       {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU}) {
    handle(signal, SIG_IGN);
  }
  // An inherited SIG_IGN would make the kernel reap the VMM and lose its status.
  handle(SIGCHLD, SIG_DFL);
  handle(SIGTERM, on_stop);
  handle(SIGALRM, on_alarm);
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
}

}  // namespace

Outcome set_up_process() {
  ::umask(077);
  set_up_signals();
  if (::getsid(0) != ::getpid() && ::setsid() < 0) return failure_errno("setsid");
  if (::syscall(SYS_close_range, 3U, ~0U, 0U) != 0) return failure_errno("close_range");
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  // Starts without some of 0..2 fill them up.
  while (null >= 0 && null <= STDERR_FILENO) null = ::dup(null);
  if (null < 0) return failure_errno("open /dev/null");
  const UniqueFd owner(null);
  const bool placed = ::dup2(null, STDIN_FILENO) >= 0 && ::dup2(null, STDERR_FILENO) >= 0;
  return placed ? success() : failure_errno("place /dev/null");
}

bool stop_requested() { return stop != 0; }

void report(std::string_view line) {
  Text<640> text;
  add_printable(text, line);
  text.add("\n");
  static_cast<void>(write_all(STDOUT_FILENO, text.view()));
  ::dup2(STDIN_FILENO, STDOUT_FILENO);
}

}  // namespace cocoon::shim
