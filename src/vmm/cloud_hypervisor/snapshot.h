// SPDX-License-Identifier: Apache-2.0
// Saving a Cloud Hypervisor guest and loading one (spec 04 §18–§20): what the files are called, and
// how memory comes back. Pure.
#pragma once

#include <string>

#include "base/error.h"
#include "model/vm.h"
#include "vmm/cloud_hypervisor/host.h"
#include "vmm/cloud_hypervisor/plan.h"
#include "vmm/cloud_hypervisor/saved_config.h"
#include "vmm/saved.h"

namespace cocoon::vmm::cloud_hypervisor {

// Members of a snapshot, by the names that Cloud Hypervisor writes and looks for.
inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kStateFile = "state.json";
inline constexpr const char* kMemoryRangesFile = "memory-ranges";

// Older ones pause the processors while block requests are under way, which then land in disks and
// memory that are being copied.
inline constexpr Version kDrainsDisks{53, 0, 0};
// A private mapping of a file survives a guest that gives memory back: v51 ends then. Memory that
// is read in page by page came with it, too.
inline constexpr Version kMapsMemory{52, 0, 0};

// kUnsupported with the version: one that cannot save.
Result<void> check_can_save(const Version& version);

SavedFiles saved_files(const model::Vm& vm);

// What a load does with memory.
struct MemoryPlan {
  RestoreMode mode = RestoreMode::kCopy;
  MemoryHome home = MemoryHome::kAnonymous;
  std::string file;   // in the VM directory, for the homes that have one
  bool link = false;  // the snapshot's memory is linked into the VM directory
};

// `vm`: the new record; `files`: the snapshot's. kUnsupported: the mode is not possible with this
// version, with memory in a file of the VM's own, or with a snapshot of such a VM.
Result<MemoryPlan> plan_memory(const model::Vm& vm, const SavedFiles& files, RestoreMode mode,
                               const Version& version);

// The files of a snapshot as they were found.
struct SavedTexts {
  std::string config, state;
};

// The whole load; `launch.program` is left empty. `vm` with its plan, `saved_vm` as it was saved;
// `swap`: the guest gets other NICs, where nic_swap.h can exchange them.
// kCorrupt: the snapshot says other things than its record; kUnsupported: as plan_memory, or the
// two have different devices; kInvalid as render_vm_config.
Result<LoadPlan> render_load(const model::Vm& vm, const model::Vm& saved_vm,
                             const SavedTexts& texts, const MemoryPlan& memory, const Host& host,
                             bool swap = false);

}  // namespace cocoon::vmm::cloud_hypervisor
