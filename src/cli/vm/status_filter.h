// SPDX-License-Identifier: Apache-2.0
// Which VMs `vm status` shows (spec 01 §14). Pure.
#pragma once

#include <string>
#include <vector>

#include "model/vm.h"

namespace cocoon::cli {

// True when the filter is empty or one of its texts is the VM's ID or name, or at least three
// characters that its ID starts with. Several VMs may match one text.
bool matches_filter(const model::Vm& vm, const std::vector<std::string>& filter);

}  // namespace cocoon::cli
