// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <string>

#include "agent_wire/unique_fd.h"
#include "guest/result.h"

namespace cocoon::guest {

/// Every descriptor of the guest program but 0, 1 and 2 is close-on-exec, so that nothing of ours
/// reaches the entrypoint.
using agent_wire::UniqueFd;

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
