// SPDX-License-Identifier: Apache-2.0
// The flags of `vm stop` and `vm restart`.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "engine/vm_stop.h"

namespace cocoon::cli {

struct StopFlags {
  bool force = false;
  int timeout = 0;
  std::string format;
};

std::vector<Flag> stop_flag_table(StopFlags& flags);

// kInvalid for a negative timeout.
Result<engine::StopOptions> stop_options(const StopFlags& flags);

}  // namespace cocoon::cli
