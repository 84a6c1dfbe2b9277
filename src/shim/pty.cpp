// SPDX-License-Identifier: Apache-2.0
#include "shim/pty.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

namespace cocoon::shim {
namespace {

// Linux's devices.txt: /dev/ptmx. Masters opened through another devpts instance have it too.
constexpr unsigned kPtmxMajor = 5;
constexpr unsigned kPtmxMinor = 2;

Outcome make_raw(int slave) {
  termios settings{};
  if (::tcgetattr(slave, &settings) != 0) return failure_errno("read console mode");
  ::cfmakeraw(&settings);
  // QEMU's stdio console switches OPOST on again; with no other output flag left that changes
  // nothing, else every line of the guest would end with a second carriage return.
  settings.c_oflag = 0;
  if (::tcsetattr(slave, TCSANOW, &settings) != 0) return failure_errno("set console mode");
  return success();
}

}  // namespace

bool set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

Outcome open_pty(Pty& pty) {
  pty.master = UniqueFd(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!pty.master.valid()) return failure_errno("open /dev/ptmx");
  int locked = 0;
  if (::ioctl(pty.master.get(), TIOCSPTLCK, &locked) != 0) return failure_errno("unlock console");
  if (::ioctl(pty.master.get(), TIOCGPTN, &pty.number) != 0)
    return failure_errno("number of console");
  constexpr int kFlags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  pty.slave = UniqueFd(::ioctl(pty.master.get(), TIOCGPTPEER, kFlags));
  if (!pty.slave.valid()) return failure_errno("open the console's slave side");
  set_window_size(pty.master.get(), 24, 80);
  return make_raw(pty.slave.get());
}

bool is_pty_master(int fd, int number) {
  struct statx facts {};
  constexpr int kFlags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  if (::statx(fd, "", kFlags, STATX_TYPE, &facts) != 0) return false;
  if (!S_ISCHR(facts.stx_mode)) return false;
  if (facts.stx_rdev_major != kPtmxMajor || facts.stx_rdev_minor != kPtmxMinor) return false;
  int found = -1;
  return ::ioctl(fd, TIOCGPTN, &found) == 0 && found == number;
}

void set_window_size(int master, unsigned short rows, unsigned short columns) {
  winsize size{};
  size.ws_row = rows;
  size.ws_col = columns;
  // A console without the right size is still a console.
  static_cast<void>(::ioctl(master, TIOCSWINSZ, &size));
}

}  // namespace cocoon::shim
