// SPDX-License-Identifier: Apache-2.0
// Saving a Firecracker guest and loading one: the calls. Device state holds relative names only and
// stays as Firecracker wrote it. Pure.
#pragma once

#include <string>

#include "base/error.h"
#include "model/vm.h"
#include "vmm/firecracker/payload.h"
#include "vmm/saved.h"

namespace cocoon::vmm::firecracker {

// Members of a snapshot.
inline constexpr const char* kStateFile = "vmstate";
inline constexpr const char* kMemFile = "mem";

// A full snapshot of a paused guest into `dir`, a directory below the VM's.
ApiCall render_save(const std::string& dir);

// The whole load; `launch.program` is left empty. `vm`: the new record, `saved_vm`: as it was
// saved. kUnsupported: a mode that Firecracker has not (it always maps memory), or the two have
// different devices; kCorrupt, kInvalid as render_launch.
Result<LoadPlan> render_load(const model::Vm& vm, const model::Vm& saved_vm, RestoreMode mode,
                             const HostFacts& host);

}  // namespace cocoon::vmm::firecracker
