// SPDX-License-Identifier: Apache-2.0
// `doctor`: is this host able to do the work? Changes nothing unless it is asked to.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "model/config.h"

namespace cocoon::engine {

enum class CheckStatus { kPass, kWarn, kFail };

struct Check {
  CheckStatus status = CheckStatus::kPass;
  std::string name;    // "kvm", "qemu", "mkfs.erofs", …
  std::string detail;  // what was found, and the remedy when it is not a pass
};

std::vector<Check> run_doctor(const model::Config& config);

// What of the network's set-up is missing and can be put right: a default conflist where there is
// no network, and access to /dev/net/tun for VMMs. Returns what was done, one line each.
Result<std::vector<std::string>> fix_host(const model::Config& config);

}  // namespace cocoon::engine
