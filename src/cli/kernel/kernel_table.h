// SPDX-License-Identifier: Apache-2.0
// The table of kernels. Pure.
#pragma once

#include <string>
#include <vector>

#include "model/kernel.h"

namespace cocoon::cli {

// NAME VERSION SIZE DEFAULT CREATED, or "No kernels found."; the default one is marked "*".
std::string kernel_table(const std::vector<model::KernelName>& kernels);

}  // namespace cocoon::cli
