// SPDX-License-Identifier: Apache-2.0
// `vm disk list`: the disks of a VM, with what its files and its VMM say of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

struct DiskView {
  model::Disk disk;
  std::string name;       // as disk_label
  std::int64_t size = 0;  // bytes, as the guest sees it
  std::int64_t used = 0;  // bytes that the file takes on the host
  bool attached = false;  // the running guest has it now; the others come with the next start
};

// In attach order. A VM that runs is asked; when its VMM cannot be, that is an error.
Result<std::vector<DiskView>> list_disks(Ports& ports, const model::Vm& vm);

// The public object of one disk: that of storage_configs with name, size, used and attached.
nlohmann::json disk_json(const Ports& ports, const model::Vm& vm, const DiskView& view);

}  // namespace cocoon::engine
