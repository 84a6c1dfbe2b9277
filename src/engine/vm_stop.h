// SPDX-License-Identifier: Apache-2.0
// `vm stop`: ask the guest, then the VMM, then signals.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

struct StopOptions {
  bool force = false;  // no request to the guest, no wait for a graceful stop by another command
  std::optional<std::chrono::seconds> timeout;  // graceful part; unset: config
};

// Stops a running VM; one that is not running is left as it is. Cancellation leaves the VM as it
// is then.
Result<model::Vm> stop_vm(Ports& ports, const std::string& id, const StopOptions& options);

}  // namespace cocoon::engine
