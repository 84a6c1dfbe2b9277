// SPDX-License-Identifier: Apache-2.0
// cocoon-image, the helper program for everything that needs archive and crypto libraries (design
// decision 9). It takes the same command line and is found beside the running program.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "sys/spawn.h"

namespace cocoon::cli {

// Replaces this process by the helper; returns only on failure. The helper is told our build id.
Result<int> exec_cocoon_image(const std::vector<std::string>& arguments);

// The helper as a program to be spawned, with our environment and build id.
Result<sys::SpawnSpec> cocoon_image_spec(std::vector<std::string> arguments);

// In the helper: refuses to work for a cocoon of another build, since both write the same store.
Result<void> check_caller_build();

}  // namespace cocoon::cli
