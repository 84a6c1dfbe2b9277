// SPDX-License-Identifier: Apache-2.0
// The disks that a clone has and its snapshot has not, and those that it leaves out.
//
// The device state in a snapshot refers to every disk that the guest had, and what the guest keeps
// of a disk in its memory fits the saved bytes only. So a guest is always loaded with all of its
// disks, each a copy; then it gives up those that are left out, as in `vm disk detach`, their files
// go, and the fresh ones are plugged in, as in `vm disk attach`. All of that happens before the
// clone's network is opened. It needs the capability hotplug.
#pragma once

#include <string>
#include <vector>

#include "engine/ports.h"
#include "model/data_disk.h"
#include "model/vm.h"
#include "vmm/backend.h"

namespace cocoon::engine {

struct DiskChanges {
  std::vector<model::Disk> dropped;
  std::vector<model::DataDiskSpec> added;  // complete
  // Of the record that the snapshot is loaded with.
  std::vector<model::Disk> loaded_disks;
  model::DevicePlan loaded_plan;
};

// Plans the changes in `vm`, whose disks and device plan are the snapshot's; afterwards they are
// those of the clone. `added` need not be complete. A name that is dropped may be given again.
// No side effect. kUnsupported: the VMM has no hot-plug, or none for this disk, or no place is
// free; kNotFound: no such disk; kInvalid: it is no data disk, or as complete_data_disks;
// kConflict.
Result<DiskChanges> plan_disk_changes(const vmm::Backend& backend,
                                      const std::vector<std::string>& dropped,
                                      const std::vector<model::DataDiskSpec>& added, model::Vm& vm);

// The record of a clone as its VMM is to be started: with the disks that its guest knows.
model::Vm as_loaded(const DiskChanges& changes, model::Vm vm);

// Makes the changes to the guest, which runs on: `vm` is the record as it will be, `running`. What
// was made goes with the VM's directory. A disk that the guest cannot mount is there all the same,
// with a note; kVmm: the guest does not give up a disk (it is in use); kTimeout: it does not let go
// of it; else as make_data_disks and Backend::plug_disk.
Result<void> change_disks(Ports& ports, const vmm::Backend& backend, const DiskChanges& changes,
                          const model::Vm& vm, int lock_fd);

}  // namespace cocoon::engine
