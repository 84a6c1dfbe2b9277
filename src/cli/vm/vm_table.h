// SPDX-License-Identifier: Apache-2.0
// The table of VMs (spec 01 §13). Pure.
#pragma once

#include <string>
#include <vector>

#include "model/vm.h"

namespace cocoon::cli {

// ID NAME STATE CPU MEMORY STORAGE IP IMAGE CREATED, or "No VMs found.".
std::string vm_table(const std::vector<model::Vm>& vms);

}  // namespace cocoon::cli
