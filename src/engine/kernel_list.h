// SPDX-License-Identifier: Apache-2.0
// `kernel list`, `kernel default`, `kernel rm`.
#pragma once

#include <string>
#include <vector>

#include "engine/ports.h"
#include "model/kernel.h"

namespace cocoon::engine {

// All kernel names, sorted.
Result<std::vector<model::KernelName>> list_kernels(Ports& ports);

// What `name` points to; an empty name means the default. kNotFound.
Result<model::KernelName> inspect_kernel(Ports& ports, const std::string& name);

// Makes `name` the default. kNotFound.
Result<void> set_default_kernel(Ports& ports, const std::string& name);

struct RemovedKernel {
  std::string name;
  bool was_default = false;
  std::vector<std::string> used_by;  // VMs that still boot with the object
};

// Removes names, all of them or none. Objects stay as long as a VM boots with them and go with
// `gc`. kNotFound; kConflict with `strict` when a VM boots with one.
Result<std::vector<RemovedKernel>> remove_kernels(Ports& ports,
                                                  const std::vector<std::string>& names,
                                                  bool strict);

}  // namespace cocoon::engine
