// SPDX-License-Identifier: Apache-2.0
#include "shim/console.h"

#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "shim/pty.h"

namespace cocoon::shim {
namespace {

// Ends calls that block in spite of O_NONBLOCK: SIGALRM after a second, then every tenth, because
// the first could come just before the call.
class Watchdog {
 public:
  Watchdog() { set({{0, 100'000}, {1, 0}}); }
  ~Watchdog() { set({}); }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  static void set(const itimerval& value) { ::setitimer(ITIMER_REAL, &value, nullptr); }
};

}  // namespace

void Console::take_output(std::string_view bytes) {
  ring_.append(bytes);
  marker_.feed(bytes);
  log_.append(bytes);
}

Console::Pumped Console::pump() {
  std::array<char, 4096> buffer;
  std::size_t total = 0;
  const Watchdog watchdog;
  while (total < kBurst) {
    const ssize_t size = ::read(master_.get(), buffer.data(), buffer.size());
    if (size > 0) {
      total += static_cast<std::size_t>(size);
      take_output({buffer.data(), static_cast<std::size_t>(size)});
      continue;
    }
    if (size < 0 && errno == EAGAIN) return Pumped::kIdle;
    if (size < 0 && errno == EINTR) {
      set_nonblocking(master_.get());
      return Pumped::kIdle;
    }
    return Pumped::kHungUp;
  }
  return Pumped::kMore;
}

void Console::recall() {
  log_.replay_tail(
      Ring::kCapacity,
      [](void* self, std::string_view bytes) {
        auto* const console = static_cast<Console*>(self);
        console->ring_.append(bytes);
        console->marker_.feed(bytes);
      },
      this);
  marker_.doubt_word();
}

void Console::add_input(std::string_view bytes) {
  const std::size_t size = std::min(bytes.size(), input_room());
  if (size == 0) return;
  std::memcpy(input_.data() + input_end_, bytes.data(), size);
  input_end_ += size;
}

void Console::push_input() {
  const Watchdog watchdog;
  while (has_input()) {
    const ssize_t size =
        ::write(master_.get(), input_.data() + input_begin_, input_end_ - input_begin_);
    if (size > 0) {
      input_begin_ += static_cast<std::size_t>(size);
      continue;
    }
    if (size == 0 || errno == EAGAIN) return;
    if (errno == EINTR) {
      set_nonblocking(master_.get());
      return;
    }
    break;  // nobody has the slave open: what was typed goes nowhere
  }
  input_begin_ = input_end_ = 0;
}

void Console::resize(unsigned short rows, unsigned short columns) {
  set_window_size(master_.get(), rows, columns);
}

}  // namespace cocoon::shim
