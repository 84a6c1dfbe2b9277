// SPDX-License-Identifier: Apache-2.0
// `vm disk resize`: grows a data disk or the root disk. What lies on it is the guest's to grow:
// root never reads what a guest may have written (design §5).
#pragma once

#include <cstdint>
#include <string>

#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

struct ResizedDisk {
  model::Vm vm;
  model::Disk disk;
  std::int64_t size = 0;  // bytes, whole pages
  bool hot = false;       // the running guest was told
};

// kInvalid: less than it has; kUnsupported: the VM runs and its VMM cannot grow disks then, or the
// disk is a cloud image's root disk of a VM that does not run. As large as it is already is
// success.
Result<ResizedDisk> resize_disk(Ports& ports, const std::string& id, const std::string& name,
                                std::int64_t bytes);

}  // namespace cocoon::engine
