// SPDX-License-Identifier: Apache-2.0
//
// A process of a session: a program, or a function of ours that might block. Leads a session of its
// own, so that everything it starts can be ended with it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>

#include "guest/fd.h"
#include "guest/program.h"

namespace cocoon::guest {

struct TerminalSize {
  unsigned short rows = 0;
  unsigned short cols = 0;
};

/// Our ends, all non-blocking. With a terminal there is `in` alone, for both directions.
struct ChildStreams {
  UniqueFd in;
  UniqueFd out;
  UniqueFd err;
  UniqueFd start;  // closed by exec, or holds a StartFailure
};

class Child {
 public:
  Child() = default;
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&& other) noexcept {
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
    return *this;
  }

  pid_t pid() const { return pid_; }
  bool running() const { return pidfd_.get() >= 0; }
  int pidfd() const { return pidfd_.get(); }
  /// To the whole process group.
  void signal(int number) const;
  /// The wait status once it has ended.
  std::optional<int> reap();

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;  // open until reaped
};

/// Starts the program on pipes, or on a new terminal of that size. exec itself may still fail:
/// `start` tells.
Result<Child> start_child(const Program& program, std::optional<TerminalSize> terminal,
                          ChildStreams& streams);

/// Runs `work` in a child on pipes; what it returns is the exit status.
Result<Child> start_task(const std::function<int()>& work, ChildStreams& streams);

}  // namespace cocoon::guest
