// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "shim/fd.h"
#include "shim/outcome.h"

namespace cocoon::shim {

// A process as it is known across shims: a pid alone can be reused.
struct ProcessRef {
  pid_t pid = -1;
  std::uint64_t start_time = 0;  // clock ticks after boot, /proc/<pid>/stat field 22
};

// Field 22 of /proc/<pid>/stat (proc(5)). Pure. The name in field 2 may hold anything, ") " too, so
// fields are counted after the last ')'.
std::optional<std::uint64_t> parse_start_time(std::string_view stat);

// Start time of a live process or zombie; nullopt when there is none of that pid.
std::optional<std::uint64_t> read_start_time(pid_t pid);

// A pidfd of the process; invalid, with errno set, when it cannot be opened.
UniqueFd open_pidfd(pid_t pid);

// Sends a signal to exactly this process; gone already is fine.
void send_signal(int pidfd, int signal);

// True when the process behind the pidfd has ended (a zombie has). Does not block.
bool has_ended(int pidfd);

// A pidfd of exactly this process, alive at the time of the call; invalid when it is gone.
UniqueFd open_process(const ProcessRef& process);

using BootId = Text<64>;

// /proc/sys/kernel/random/boot_id, without the newline.
Outcome read_boot_id(BootId& boot_id);

}  // namespace cocoon::shim
