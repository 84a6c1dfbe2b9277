// SPDX-License-Identifier: Apache-2.0
// Processes of other times and places: known by pid AND start time, held by pidfd, so that a reused
// pid is never signalled (design §4).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "sys/fd.h"

namespace cocoon::sys {

// A process as it is recorded. start_time is field 22 of /proc/<pid>/stat (clock ticks since boot,
// proc(5)); a pid means nothing without it.
struct ProcessRef {
  pid_t pid = 0;
  std::uint64_t start_time = 0;
  bool operator==(const ProcessRef&) const = default;
};

// The start time of a process, a zombie's as well; nullopt when it is gone.
std::optional<std::uint64_t> process_start_time(pid_t pid);

// This process.
ProcessRef self_process();

// A pidfd whose identity was checked after it was opened.
class LiveProcess {
 public:
  // nullopt: gone, ended with all its threads, or the pid belongs to somebody else now.
  static Result<std::optional<LiveProcess>> open(ProcessRef ref);

  Result<void> signal(int signo) const;
  // Waits for its end: true = it ended, false = `limit` passed. Stops early with kInterrupted when
  // the command is cancelled.
  Result<bool> wait_exit(Milliseconds limit) const;
  int pidfd() const { return pidfd_.get(); }

 private:
  explicit LiveProcess(UniqueFd pidfd) : pidfd_(std::move(pidfd)) {}
  UniqueFd pidfd_;
};

// Is the recorded process alive right now?
bool is_alive(ProcessRef ref);

// SIGTERM, `grace`, SIGKILL, 5 s. Success when it is gone (also when it was gone before). Not
// stopped by a cancelled command. kTimeout when even SIGKILL did not end it.
Result<void> terminate(ProcessRef ref, Milliseconds grace);

// /proc/sys/kernel/random/boot_id: what makes pids of different boots different.
Result<std::string> host_boot_id();

}  // namespace cocoon::sys
