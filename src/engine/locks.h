// SPDX-License-Identifier: Apache-2.0
// Operation locks (design §5): taken before the row is written, held to the last commit. Order:
// snapshot, then VM, then blob, then the database.
#pragma once

#include <string>

#include "base/clock.h"
#include "engine/ports.h"
#include "sys/file_lock.h"

namespace cocoon::engine {

inline constexpr Milliseconds kLockWait{10'000};

// Takes a VM's lock for `verb`. kBusy names the holder.
Result<sys::FileLock> lock_vm(const Ports& ports, const std::string& id, std::string_view verb,
                              Milliseconds wait = kLockWait);

// Takes a snapshot's lock: shared for those who read it (clones, restores, exports), exclusive for
// who makes or removes it. kBusy names the holder.
Result<sys::FileLock> lock_snapshot(const Ports& ports, const std::string& id,
                                    sys::FileLock::Mode mode, std::string_view verb,
                                    Milliseconds wait = kLockWait);

// Takes the lock of something that is made outside of the store, without waiting. kBusy: somebody
// makes it.
Result<sys::FileLock> lock_export(const Ports& ports, const std::string& id, std::string_view verb);

}  // namespace cocoon::engine
