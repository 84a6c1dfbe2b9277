// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <vector>

namespace cocoon::guest {

/// One round of poll(2): everybody adds what it waits for and keeps the index of it.
class PollSet {
 public:
  void clear();
  std::size_t add(int fd, short events);
  /// Ends the wait after this time at the latest.
  void wake_in(std::chrono::milliseconds time);
  void wait();
  /// What happened, 0 for nothing.
  short got(std::size_t index) const { return entries_[index].revents; }

 private:
  std::vector<pollfd> entries_;
  int timeout_ = -1;
};

}  // namespace cocoon::guest
