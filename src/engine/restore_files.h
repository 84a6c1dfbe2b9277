// SPDX-License-Identifier: Apache-2.0
// The way back of `vm restore`: the disks that a VM had are kept beside the new ones until the
// restored guest runs.
#pragma once

#include <string>
#include <string_view>

#include "engine/ports.h"
#include "model/snapshot.h"
#include "model/vm.h"

namespace cocoon::engine {

// Copies of the snapshot's disks, complete, beside the VM's own. The VM may run meanwhile.
Result<void> stage_disks(const Ports& ports, const model::Snapshot& snapshot, const model::Vm& vm);

// Puts the staged disks in the place of the VM's own, which are kept. The VMM must have ended. A
// swap that died half-way is finished or taken back by the other functions.
Result<void> swap_disks(const Ports& ports, const model::Snapshot& snapshot, const model::Vm& vm);

// Puts the kept disks back where they were, and removes what was staged. May be repeated.
Result<void> swap_back(const Ports& ports, const model::Vm& vm);

// The restore is final: what was kept goes.
Result<void> drop_kept_disks(const Ports& ports, const model::Vm& vm);

// The last step of a restore, as its op's phase says it: the restored guest runs by its record.
inline constexpr std::string_view kRestoreDone = "done";
// What is left then: the kept disks go, the network is opened. Returns the record, stored, without
// op. May be repeated.
Result<model::Vm> finish_restore(Ports& ports, model::Vm vm);

// The command behind a restore is dead, or its load failed: the VM has its old disks again. A VM
// whose old VMM still runs goes on; else it is `stopped`, its memory is lost, and its record says
// why. Returns the record, stored, without op.
Result<model::Vm> undo_restore(Ports& ports, model::Vm vm, const std::string& why = "");

// What is left of a hibernation once its row is written: the VMM ends, the VM is stopped. Returns
// the record, stored, without op.
Result<model::Vm> fall_asleep(Ports& ports, model::Vm vm);

}  // namespace cocoon::engine
