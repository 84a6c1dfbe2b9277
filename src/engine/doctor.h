// SPDX-License-Identifier: Apache-2.0
// `doctor`: is this host able to do the work? Checks only; changes nothing.
#pragma once

#include <string>
#include <vector>

#include "model/config.h"

namespace cocoon::engine {

enum class CheckStatus { kPass, kWarn, kFail };

struct Check {
  CheckStatus status = CheckStatus::kPass;
  std::string name;    // "kvm", "qemu", "mkfs.erofs", …
  std::string detail;  // what was found, and the remedy when it is not a pass
};

std::vector<Check> run_doctor(const model::Config& config);

}  // namespace cocoon::engine
