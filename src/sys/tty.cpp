// SPDX-License-Identifier: Apache-2.0
#include "sys/tty.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

#include <array>
#include <cerrno>

namespace cocoon::sys {
namespace {

constexpr std::array kFatalSignals{SIGHUP, SIGINT, SIGTERM, SIGQUIT};

// For the signal handler, which can reach globals only. Written while the handlers are not
// installed.
int g_fd = -1;
termios g_before{};
std::array<struct sigaction, kFatalSignals.size()> g_actions{};

// tcsetattr is async-signal-safe (signal-safety(7)); SIGTTOU is blocked by the handler's mask, or a
// process in the background would be stopped here.
void restore_and_pass_on(int signo) {
  int saved = errno;
  tcsetattr(g_fd, TCSANOW, &g_before);
  for (std::size_t i = 0; i < kFatalSignals.size(); ++i) {
    if (kFatalSignals[i] != signo) continue;
    const struct sigaction& action = g_actions[i];
    if (action.sa_handler == SIG_DFL) {
      sigaction(signo, &action, nullptr);
      raise(signo);  // delivered when this handler returns
    } else if (action.sa_handler != SIG_IGN) {
      action.sa_handler(signo);
    }
  }
  errno = saved;
}

void install_handlers() {
  struct sigaction action {};
  action.sa_handler = restore_and_pass_on;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGTTOU);
  for (std::size_t i = 0; i < kFatalSignals.size(); ++i) {
    sigaction(kFatalSignals[i], &action, &g_actions[i]);
  }
}

void remove_handlers() {
  for (std::size_t i = 0; i < kFatalSignals.size(); ++i) {
    sigaction(kFatalSignals[i], &g_actions[i], nullptr);
  }
}

sigset_t set_of(int signo) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  return set;
}

}  // namespace

std::optional<WindowSize> window_size(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
    return std::nullopt;
  }
  return WindowSize{size.ws_row, size.ws_col};
}

Result<RawTty> RawTty::enter(int fd) {
  if (g_fd >= 0) return fail(ErrorKind::kInternal, "a terminal is in raw mode already");
  if (tcgetattr(fd, &g_before) != 0) {
    return fail(ErrorKind::kInvalid, "standard input is not a terminal");
  }
  g_fd = fd;
  install_handlers();
  RawTty tty;  // from here on everything is put back
  termios raw = g_before;
  cfmakeraw(&raw);
  if (tcsetattr(fd, TCSANOW, &raw) != 0) return fail_errno("set the terminal to raw mode");
  return tty;
}

RawTty::~RawTty() {
  if (!active_) return;
  sigset_t stop = set_of(SIGTTOU);
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &stop, &before);
  // Not TCSAFLUSH: what was typed meanwhile is for the shell.
  tcsetattr(g_fd, TCSADRAIN, &g_before);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  remove_handlers();
  g_fd = -1;
}

Result<WindowChanges> WindowChanges::watch() {
  sigset_t set = set_of(SIGWINCH);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail_errno("watch the window size");
  return WindowChanges(std::move(fd));
}

WindowChanges::~WindowChanges() {
  if (!fd_.valid()) return;
  clear();
  sigset_t set = set_of(SIGWINCH);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void WindowChanges::clear() {
  signalfd_siginfo info{};
  while (read(fd_.get(), &info, sizeof info) > 0) {
  }
}

}  // namespace cocoon::sys
