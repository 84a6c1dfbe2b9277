// SPDX-License-Identifier: Apache-2.0
//
// PID 1's work while the entrypoint runs, and the end of all processes after it.
#pragma once

#include <sys/types.h>

#include <chrono>

#include "guest/power_button.h"

namespace cocoon::guest {

/// How long a process may take to end after SIGTERM.
struct Patience {
  std::chrono::milliseconds entrypoint{10'000};
  std::chrono::milliseconds leftovers{2'000};
  std::chrono::milliseconds killed{5'000};  // after SIGKILL: only the kernel can hold it up
};

/// Blocks the signals that PID 1 reads from a descriptor, before the first child is started.
void block_signals();

/// The exit code that a wait status stands for: its own, or 128 + signal.
int exit_code_of(int wait_status);

/// Reaps every child until the entrypoint has ended and returns its exit code. A request to stop
/// (power button, SIGTERM, SIGINT from Ctrl-Alt-Del, SIGPWR, and SIGUSR1 and SIGUSR2 that busybox's
/// halt and poweroff send) gives its process group SIGTERM, later SIGKILL. An entrypoint that
/// survives even that for a while counts as killed.
int supervise(pid_t entrypoint, PowerButton& button, const Patience& patience);

/// Ends all other processes: SIGTERM, a short time, SIGKILL. Bounded; quick if there are none.
void end_processes(const Patience& patience);

}  // namespace cocoon::guest
