// SPDX-License-Identifier: Apache-2.0
// `vm logs`: the guest's console as the shim logs it, or the hypervisor's own log.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

struct LogsOptions {
  bool vmm = false;                 // the hypervisor's log, not the console
  bool follow = false;              // go on with what is added, until the VM ends
  std::optional<std::size_t> tail;  // only the last lines of what is there
};

// Takes bytes in order; an error of it ends the reading.
using LogSink = std::function<Result<void>(std::string_view)>;

// Hands the log of a VM to `sink`. Rotation and truncation while reading lose and repeat nothing
// that is still on disk. A VM that never ran has an empty log. kInterrupted when a follow is
// cancelled.
Result<void> read_logs(const Ports& ports, const model::Vm& vm, const LogsOptions& options,
                       const LogSink& sink);

}  // namespace cocoon::engine
