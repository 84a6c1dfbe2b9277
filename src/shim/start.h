// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/shim.h"

namespace cocoon::shim {

// Steps that launch and adopt share.

// Opens the VM directory, reads shim.conf from it and opens log directory and exit directory.
Outcome open_vm(Shim& shim, const char* vm_dir);

// Takes shim.lock, trying for `patience_ms`. kServing: it is held.
Started take_lock(Shim& shim, int patience_ms);

// Moves the shim into its own cgroup, if it has one.
Outcome enter_shim_cgroup(const Shim& shim);

Outcome open_console_log(Shim& shim);

// Binds both sockets.
Outcome open_sockets(Shim& shim);

// Last step before the VMM runs or is adopted: from here on the shim needs no right but CAP_KILL.
Outcome give_up_rights();

inline Started started(const Outcome& outcome) {
  return {outcome.ok ? Start::kServing : Start::kFailed, outcome.why};
}

}  // namespace cocoon::shim
