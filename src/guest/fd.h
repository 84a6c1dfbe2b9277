// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include "guest/result.h"

namespace cocoon::guest {

/// Owns one descriptor; -1 is "none". Every descriptor of the guest program but 0, 1 and 2 is
/// close-on-exec, so that nothing of ours reaches the entrypoint.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

/// One point in time that several waits share.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Deadline(std::chrono::milliseconds from_now) : at_(Clock::now() + from_now) {}

  bool passed() const { return Clock::now() >= at_; }
  /// Time left, rounded up, at least zero: fits poll().
  std::chrono::milliseconds left() const;

 private:
  Clock::time_point at_;
};

/// Sleeps; safe in a signal handler.
void pause_for(std::chrono::milliseconds time);

/// Reads a whole regular (or proc/sysfs) file, opened relative to `dir`. A FIFO or device that an
/// image has planted neither blocks nor is read: it is an error. Fails when the file holds more
/// than `limit` bytes.
Result<std::string> read_file_at(int dir, const char* path, std::size_t limit, int flags = 0);
Result<std::string> read_file(const char* path, std::size_t limit);

/// Writes all of `text`.
bool write_all(int fd, std::string_view text);

}  // namespace cocoon::guest
