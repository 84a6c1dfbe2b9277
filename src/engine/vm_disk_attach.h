// SPDX-License-Identifier: Apache-2.0
// `vm disk attach`: one more data disk for a VM that exists, at once where it runs and its VMM can.
#pragma once

#include <string>

#include "engine/ports.h"
#include "model/data_disk.h"
#include "model/vm.h"

namespace cocoon::engine {

struct AttachedDisk {
  model::Vm vm;
  model::Disk disk;
  bool hot = false;      // the running guest has it already
  bool mounted = false;  // and has mounted it
};

// Makes the disk and adds it behind the VM's other data disks, with a made name when the spec has
// none. kConflict: name or mount point are taken; kUnsupported: no place is left, or the VM runs
// and its VMM has no hot-plug; kVmm: the VMM refused. Nothing is left after an error. A guest that
// cannot mount the disk has it all the same; why is noted.
Result<AttachedDisk> attach_disk(Ports& ports, const std::string& id,
                                 const model::DataDiskSpec& spec);

}  // namespace cocoon::engine
