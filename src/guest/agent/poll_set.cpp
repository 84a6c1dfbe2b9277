// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/poll_set.h"

#include <algorithm>

namespace cocoon::guest {

void PollSet::clear() {
  entries_.clear();
  timeout_ = -1;
}

std::size_t PollSet::add(int fd, short events) {
  entries_.push_back({.fd = fd, .events = events, .revents = 0});
  return entries_.size() - 1;
}

void PollSet::wake_in(std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds kLongest{3'600'000};
  const int wanted =
      static_cast<int>(std::clamp(time, std::chrono::milliseconds(0), kLongest).count());
  timeout_ = timeout_ < 0 ? wanted : std::min(timeout_, wanted);
}

void PollSet::wait() {
  if (::poll(entries_.data(), entries_.size(), timeout_) >= 0) return;
  for (pollfd& entry : entries_) entry.revents = 0;  // interrupted: another round
}

}  // namespace cocoon::guest
