// SPDX-License-Identifier: Apache-2.0
// `vm restore`: a VM goes back to a snapshot in place (spec 04 §10, §17 rows 19, 20).
#pragma once

#include <functional>
#include <string>

#include "engine/ports.h"
#include "model/vm.h"
#include "vmm/saved.h"

namespace cocoon::engine {

struct RestoreRequest {
  vmm::RestoreMode mode = vmm::RestoreMode::kAuto;
  // Reads and compares the members (engine/snapshot_verify.h, which this library does without).
  // Called with the snapshot's lock held, not the VM's: that may take long. Empty: sizes will do.
  std::function<Result<void>(Ports&, const std::string& snapshot_id)> verify = {};
};

// Takes a VM, in whatever state, back to the snapshot of that ID. Everything that could refuse is
// asked before a running VM is touched: whole members, disks with the same roles and names in the
// same order, as many NICs, hypervisor, version, processor; with `verify` what the members hold.
// After a load that failed the VM has its
// disks as before and is `stopped`, and the error says so. kInvalid or kCorrupt naming the member,
// kUnsupported, kNotFound, kVmm.
Result<model::Vm> restore_vm(Ports& ports, const std::string& vm_id, const std::string& snapshot_id,
                             const RestoreRequest& request);

// `vm start` of a hibernated VM, with its lock held and its record settled: it goes on, and the
// snapshot goes. A failure leaves it hibernated.
Result<model::Vm> wake_vm(Ports& ports, model::Vm vm, int lock_fd);

}  // namespace cocoon::engine
