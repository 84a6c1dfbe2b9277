// SPDX-License-Identifier: Apache-2.0
#include "sys/cancel.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace cocoon::sys {
namespace {

std::atomic<int> g_signals{0};
int g_read_end = -1;
int g_write_end = -1;
thread_local int t_shields = 0;

void on_signal(int) {
  int saved = errno;
  if (g_signals.fetch_add(1) > 0) _exit(130);
  char byte = 'x';
  // The pipe is empty at the first signal, so this cannot block; nothing can be done if it fails.
  if (write(g_write_end, &byte, 1) < 0) errno = saved;
  errno = saved;
}

}  // namespace

Result<void> install_cancel_signals() {
  Pipe pipe = COCOON_TRY(make_pipe(), "install signal handlers");
  g_read_end = pipe.read_end.release();
  g_write_end = pipe.write_end.release();
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (int signo : {SIGINT, SIGTERM}) {
    if (sigaction(signo, &action, nullptr) != 0) return fail_errno("install signal handlers");
  }
  signal(SIGPIPE, SIG_IGN);
  return {};
}

bool cancelled() { return t_shields == 0 && g_signals.load() > 0; }

Result<void> check_cancelled() {
  if (cancelled()) return fail(ErrorKind::kInterrupted, "interrupted");
  return {};
}

int cancel_fd() { return t_shields == 0 ? g_read_end : -1; }

CancelShield::CancelShield() { ++t_shields; }

CancelShield::~CancelShield() { --t_shields; }

}  // namespace cocoon::sys
