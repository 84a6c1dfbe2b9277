// SPDX-License-Identifier: Apache-2.0
// The user's terminal: raw mode and window size.
#pragma once

#include <optional>

#include "base/error.h"
#include "sys/fd.h"

namespace cocoon::sys {

struct WindowSize {
  unsigned short rows = 0;
  unsigned short columns = 0;
  bool operator==(const WindowSize&) const = default;
};

// The size of a terminal; nullopt when `fd` is none or does not know.
std::optional<WindowSize> window_size(int fd);

// Raw mode while it lives. The terminal is put back by the destructor, and also when SIGHUP,
// SIGINT, SIGTERM or SIGQUIT end the process: their handlers are wrapped, and do what they did
// before once the terminal is itself again. At most one lives in a process.
class [[nodiscard]] RawTty {
 public:
  // kInvalid when `fd` is no terminal.
  static Result<RawTty> enter(int fd);
  RawTty(RawTty&& other) noexcept : active_(std::exchange(other.active_, false)) {}
  RawTty& operator=(RawTty&&) = delete;
  RawTty(const RawTty&) = delete;
  RawTty& operator=(const RawTty&) = delete;
  ~RawTty();

 private:
  RawTty() = default;
  bool active_ = true;
};

// Tells of window size changes (SIGWINCH) by a descriptor that becomes readable. The signal is
// blocked in the making thread while this lives.
class [[nodiscard]] WindowChanges {
 public:
  static Result<WindowChanges> watch();
  WindowChanges(WindowChanges&& other) noexcept = default;
  WindowChanges& operator=(WindowChanges&&) = delete;
  WindowChanges(const WindowChanges&) = delete;
  WindowChanges& operator=(const WindowChanges&) = delete;
  ~WindowChanges();

  int fd() const { return fd_.get(); }
  // Makes the descriptor unreadable again.
  void clear();

 private:
  explicit WindowChanges(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace cocoon::sys
