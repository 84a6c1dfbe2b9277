// SPDX-License-Identifier: Apache-2.0
// Owning file descriptors. Everything is opened close-on-exec; a child gets a descriptor only by
// being named in spawn's map.
#pragma once

#include <unistd.h>

#include <utility>

#include "base/error.h"

namespace cocoon::sys {

// Owns one descriptor; -1 is none. Move-only; the destructor closes.
class [[nodiscard]] UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

// A close-on-exec pipe. kSystem on failure.
Result<Pipe> make_pipe();

// Waits until `fd` is readable (or hung up); false when `timeout_ms` passed. -1 waits for ever.
Result<bool> wait_readable(int fd, int timeout_ms);

}  // namespace cocoon::sys
