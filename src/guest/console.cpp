// SPDX-License-Identifier: Apache-2.0
#include "guest/console.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <termios.h>

namespace cocoon::guest {
namespace {

using namespace std::chrono_literals;

constexpr auto kWriteLimit = 5s;
constexpr auto kDrainLimit = 5s;
constexpr std::size_t kEarlyLimit = 4096;
constexpr int kSyslogConsoleOff = 6;  // SYSLOG_ACTION_CONSOLE_OFF, syslog(2)

void set_flag(int fd, int flag) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | flag); }

}  // namespace

bool Console::connect(const char* path) {
  if (!fd_) connect(UniqueFd(::open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)));
  return static_cast<bool>(fd_);
}

void Console::connect(UniqueFd fd) {
  fd_ = std::move(fd);
  if (!fd_) return;
  set_flag(fd_.get(), O_NONBLOCK);
  write(early_, Deadline(kWriteLimit));
  early_.clear();
}

void Console::say(std::string_view line) {
  const std::string text = "cocoon: " + std::string(line) + "\n";
  if (fd_) {
    write(text, Deadline(kWriteLimit));
  } else if (early_.size() + text.size() <= kEarlyLimit) {
    early_ += text;
  }
}

void Console::finish(const Ending& ending, int exit_code) {
  // The kernel's own messages would otherwise break into the middle of the marker.
  ::klogctl(kSyslogConsoleOff, nullptr, 0);
  termios mode{};
  if (::tcgetattr(fd_.get(), &mode) == 0) {
    mode.c_iflag &= ~static_cast<tcflag_t>(IXON);  // ends a Ctrl-S: n_tty_set_termios()
    mode.c_oflag |= OPOST | ONLCR;
    ::tcsetattr(fd_.get(), TCSANOW, &mode);
    ::tcflow(fd_.get(), TCOON);
  }
  write(render_exit_marker(ending, exit_code), Deadline(kWriteLimit));
  drain(Deadline(kDrainLimit));
}

bool Console::write(std::string_view text, Deadline deadline) {
  while (fd_ && !text.empty()) {
    const ssize_t put = ::write(fd_.get(), text.data(), text.size());
    if (put > 0) {
      text.remove_prefix(static_cast<std::size_t>(put));
      continue;
    }
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno != EAGAIN) return false;
    if (deadline.passed()) return false;
    pollfd ready{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
    ::poll(&ready, 1, static_cast<int>(deadline.left().count()));
  }
  return text.empty();
}

void Console::drain(Deadline deadline) {
  // tcdrain() alone would wait for ever on a console that nobody empties. Once the kernel's buffer
  // is empty only the device's own FIFO is left, and for that the driver has a limit.
  int queued = 0;
  while (::ioctl(fd_.get(), TIOCOUTQ, &queued) == 0 && queued > 0) {
    if (deadline.passed()) return;
    pause_for(std::chrono::milliseconds(2));
  }
  ::tcdrain(fd_.get());
}

void attach_standard_streams() {
  UniqueFd fd(::open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!fd) fd = UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!fd) return;
  // A descriptor that lands on 0..2 itself (none were open) must survive the loop.
  const bool standard = fd.get() <= STDERR_FILENO;
  for (int target = STDIN_FILENO; target <= STDERR_FILENO; ++target) {
    if (target == fd.get()) {
      ::fcntl(target, F_SETFD, 0);
    } else {
      ::dup2(fd.get(), target);
    }
  }
  if (standard) fd.release();
}

std::string render_exit_marker(const Ending& ending, int exit_code) {
  if (ending.nonce.empty()) return {};
  return "\ncocoon-exit " + ending.nonce + " " + std::to_string(exit_code) + "\n";
}

}  // namespace cocoon::guest
