// SPDX-License-Identifier: Apache-2.0
// Saving and loading by migration to a descriptor (spec 06 §3): the stream holds the device state
// only, because guest memory lies in a shared file of its own (capability x-ignore-shared).
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "vmm/qemu/qmp_client.h"

namespace cocoon::vmm::qemu {

// The name of the device state in a snapshot.
inline constexpr const char* kStateFile = "state";

// Errors of all: as QmpClient; kVmm also for a migration that failed.

// Writes the device state of a stopped guest to `fd`, which is open for writing only.
Result<void> save_state(QmpClient& client, int fd, Deadline deadline);

// Loads it from `fd`, which is open for reading only, into a QEMU started with `-incoming defer`.
// The guest is stopped then.
Result<void> load_state(QmpClient& client, int fd, Deadline deadline);

// Lets a stopped guest run, out of a save that was not finished as well.
Result<void> continue_guest(QmpClient& client, Deadline deadline);

}  // namespace cocoon::vmm::qemu
