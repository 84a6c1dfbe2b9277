// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/outcome.h"
#include "shim/process.h"

namespace cocoon::shim {

// Name of the identity file in the VM directory. It exists exactly while a VMM may be running.
inline constexpr const char* kIdentityFile = "vmm";
// Guest memory (or a link to it) in the VM's directory, where the backend keeps it in a file.
inline constexpr const char* kMemoryFile = "memory";

using Timestamp = Text<32>;

// Which VMM runs here, for the engine and for the next shim. Written by the shim, root 0600: lines
// `boot_id=`, `pid=`, `start_time=`, `pts=` (N of /dev/pts/N), `started_at=` (RFC 3339, UTC).
struct Identity {
  BootId boot_id;
  ProcessRef process;
  int pts = -1;
  Timestamp started_at;
};

Text<512> render_identity(const Identity& identity);

// Pure. All five lines must be there, once; unknown lines are a failure.
Outcome parse_identity(std::string_view text, Identity& identity);

Outcome write_identity(int vm_dir, const Identity& identity);
Outcome read_identity(int vm_dir, Identity& identity);

// "2026-11-22T17:04:05Z" for seconds after the epoch. Pure.
Timestamp render_time(long long seconds);
Timestamp current_time();

}  // namespace cocoon::shim
