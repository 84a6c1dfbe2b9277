// SPDX-License-Identifier: Apache-2.0
// Data disks in a guest that runs: mounted and unmounted by its agent, with the mounts of an
// identity (agent_wire/identity.h).
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// How long an agent may take to answer: a guest that may have none does not say so.
inline constexpr Milliseconds kGuessLimit{2'000};
// The same by what is known of the guest: one with our agent may only be slow.
Milliseconds agent_limit(const model::Vm& vm);

// Has the guest mount, or give up, the disk at its mount point; what is so already stays. True: it
// did. False: nothing is to be done (the VM does not run, the disk has no mount point), or nobody
// in the guest can: it has no agent, or one that knows no identities. kVmm: the agent says why it
// did not. kInterrupted.
Result<bool> mount_in_guest(Ports& ports, const model::Vm& vm, const model::Disk& disk,
                            Milliseconds connect_limit = kGuessLimit);
Result<bool> unmount_in_guest(Ports& ports, const model::Vm& vm, const model::Disk& disk,
                              Milliseconds connect_limit = kGuessLimit);

}  // namespace cocoon::engine
