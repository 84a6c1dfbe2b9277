// SPDX-License-Identifier: Apache-2.0
// What dead commands leave of saves, hibernations and restores: undone or finished by the next
// command that meets it, and by gc (design decision 5).
#pragma once

#include <string>

#include "engine/ports.h"
#include "model/snapshot.h"
#include "model/vm.h"

namespace cocoon::engine {

// Verbs of Op::verb. The phase is the snapshot's ID; of a restore "<ID> <step>".
inline constexpr std::string_view kSaveOp = "save";
inline constexpr std::string_view kHibernateOp = "hibernate";
inline constexpr std::string_view kRestoreOp = "restore";

// Files and row of a snapshot, in the order that can be repeated. The caller holds its lock or
// knows that nobody can.
Result<void> drop_snapshot(Ports& ports, const std::string& id);

// Removes a snapshot that is half made or half removed, if nobody works on it. True: it is gone.
Result<bool> settle_snapshot(Ports& ports, const model::Snapshot& snapshot);

// Drops the snapshot of a hibernation that nobody waits for any more; an empty ID is none. What
// cannot be removed now is gc's.
void forget_hibernation(Ports& ports, const std::string& id);

// Before a name is reserved: a snapshot of a dead command must not hold it.
Result<void> reclaim_name(Ports& ports, const std::string& name);

// Clears the op of a VM's row; a VM that is gone is fine.
Result<void> clear_op(Ports& ports, const std::string& vm_id);

// The command behind a VM's save, hibernation or restore is dead (the caller holds the VM's lock):
// the guest runs, or is put to sleep, or has its old disks. Returns the record, stored, without op.
bool is_snapshot_op(const model::Vm& vm);
Result<model::Vm> settle_snapshot_op(Ports& ports, model::Vm vm);

}  // namespace cocoon::engine
