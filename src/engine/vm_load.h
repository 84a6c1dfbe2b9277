// SPDX-License-Identifier: Apache-2.0
// From a snapshot's files to a guest that goes on: what clone, restore and the wake of a hibernated
// VM have in common.
#pragma once

#include <string>
#include <vector>

#include "engine/ports.h"
#include "engine/rollback.h"
#include "model/snapshot.h"
#include "vmm/backend.h"

namespace cocoon::engine {

// The snapshot of an ID, complete: row and members fit together. kNotFound for one that is not
// there (or not yet, or not any more), kCorrupt naming the member. The caller holds its lock.
Result<model::Snapshot> ready_snapshot(Ports& ports, const std::string& id);

// How the record is loaded, with everything that could refuse it asked: backend and version,
// processor, mode. `swap_nics` as in vmm::SavedVm. No side effect.
struct PlannedLoad {
  vmm::AccelChoice choice;
  vmm::LoadPlan plan;
  std::string memory;  // the snapshot's memory member
};
Result<PlannedLoad> plan_load(Ports& ports, const vmm::Backend& backend,
                              const model::Snapshot& snapshot, const model::Vm& vm,
                              vmm::RestoreMode mode, bool swap_nics);

// Copies members of kind disk into files of `dir` that belong to the VM's uid, but those in
// `leave`.
Result<void> copy_disks(const model::Snapshot& snapshot, const store::fs::path& from,
                        const model::Vm& vm, const store::fs::path& dir,
                        const std::vector<std::string>& leave);

// Places what the VMM reads at the load (links, texts, memory), starts it and lets the guest go on.
// Fills in `vm.vmm`, accel and nonce. The caller has registered undo_launch(), and after an error
// removes the stand-ins of NICs, with the VM's network or without (remove_stand_ins).
Result<void> load_vm(Ports& ports, const vmm::Backend& backend, const model::Snapshot& snapshot,
                     const PlannedLoad& planned, model::Vm& vm);

}  // namespace cocoon::engine
