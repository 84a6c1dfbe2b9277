// SPDX-License-Identifier: Apache-2.0
// Makes a record true (design §4): folds exit records in, notices ends that nobody saw, replaces
// dead shims, and finishes or undoes what dead commands left half done.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// For readers, without the VM's lock: folds an end in, replaces a dead shim. While another command
// works on the VM (its lock is taken) an end is only told, and stays to be folded in. A VM whose
// operation died (its lock is free) is settled. nullopt: the VM turned out to be one that a dead
// command was making or removing, and is gone now.
Result<std::optional<model::Vm>> observe_vm(Ports& ports, model::Vm vm);

// For verbs, with the VM's lock held: the row as it is now, settled. kNotFound when it is gone.
Result<model::Vm> settle_locked(Ports& ports, const std::string& id);

// Waits for the exit record of the VM's VMM, as long as there is a shim to write it (and no longer
// than kShimEndLimit), and folds it in; when none comes the end was not seen. What the VMM has left
// of its memory goes. `asked`: a stop was in flight, so the result is `stopped` whatever it says.
// Returns the new record. The VMM must have ended, and the caller holds the VM's lock.
Result<model::Vm> fold_end(Ports& ports, const model::Vm& vm, bool asked);

// Ends whatever VMM and shim the VM directory knows of, whether a row knows them or not.
Result<void> end_recorded_vmm(const Ports& ports, const model::Vm& vm);

// Kills the VMM of a VM whose graceful stop is under way in another command, without its lock:
// `stop --force` and `rm --force` need not wait for it (design §5). Else nothing.
Result<void> kill_during_stop(Ports& ports, const std::string& id);

// Removes files, uid claim and row of a VM, in the order that can be repeated. The caller holds the
// lock and made sure that no VMM runs.
Result<void> drop_vm(Ports& ports, const model::Vm& vm);

// Our own mark for the op column.
model::Op op_of(std::string_view verb, std::string_view phase = "");

}  // namespace cocoon::engine
