// SPDX-License-Identifier: Apache-2.0
// From a planned launch to a guest that runs, whether it boots or goes on from a snapshot: what
// start, clone and restore have in common.
#pragma once

#include <functional>

#include "engine/ports.h"
#include "engine/rollback.h"
#include "model/vm.h"
#include "vmm/backend.h"

namespace cocoon::engine {

// Registers the undo of everything that follows: VMM, shim, exit record, cgroup, memory file.
void undo_launch(Ports& ports, const model::Vm& vm, Rollback& undo);

// What has to be there before any launch but is no file of the guest's: the uid's claim, the
// directory of exit records and of logs; no shim and no exit record of an earlier run. Before any
// file of the launch is made.
Result<void> prepare_launch(Ports& ports, const model::Vm& vm);

// Says how the VMM is told what to do, and waits until its guest runs.
using FinishLaunch = std::function<Result<void>(const vmm::RunningVmm& vmm, Deadline deadline)>;

// Starts shim and VMM and brings the guest to run. Fills in `vm.vmm`; the row is the caller's.
// Files and sockets of the launch are placed, but for stale sockets, which go. kVmm, kTimeout,
// kInterrupted: the caller undoes.
Result<void> launch_vm(Ports& ports, const vmm::AccelChoice& choice, model::Vm& vm,
                       const vmm::Launch& launch, const FinishLaunch& finish);

// The record of a VM whose guest runs as of now.
void mark_running(model::Vm& vm);

}  // namespace cocoon::engine
