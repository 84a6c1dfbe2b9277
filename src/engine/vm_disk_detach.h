// SPDX-License-Identifier: Apache-2.0
// `vm disk detach`: takes a data disk away from a VM, at once where it runs and its VMM can, and
// deletes or keeps its data as the user said.
#pragma once

#include <filesystem>
#include <string>

#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// What happens to the disk's file.
struct DetachOptions {
  std::filesystem::path keep;  // absolute: it is moved there; empty: it is deleted
};

// kNotFound: no such disk; kInvalid: it is no data disk; kUnsupported: the VM runs and this disk
// cannot be taken away then, or `keep` is on another file system; kConflict: `keep` exists;
// kVmm: the guest cannot unmount it; kTimeout: the guest does not let go of it. After an error the
// VM has the disk as before.
Result<model::Vm> detach_disk(Ports& ports, const std::string& id, const std::string& name,
                              const DetachOptions& options);

// --- for settling what a dead detach left (vm_disk.h) ---

struct DetachPhase {
  std::string path;  // of the disk, in the VM directory
  std::filesystem::path keep;
};
DetachPhase parse_detach_phase(const std::string& phase);

// Undoes the link at `keep`, if it is ours.
Result<void> unlink_kept(const Ports& ports, const model::Vm& vm, const DetachPhase& what);

// Makes a file that was to be kept the VMM's again, if it is still in the VM directory.
Result<void> give_back(const Ports& ports, const model::Vm& vm, const DetachPhase& what);

// Once the row has lost the disk: removes the file from the VM directory. What became of a kept
// one, which is root's already, is its new owner's business.
Result<void> finish_detach(const Ports& ports, const model::Vm& vm, const DetachPhase& what);

}  // namespace cocoon::engine
