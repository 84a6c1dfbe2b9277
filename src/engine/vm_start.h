// SPDX-License-Identifier: Apache-2.0
// `vm start`: shim and VMM come up, or everything is as before and the state is `error`.
#pragma once

#include <string>

#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

struct StartOptions {
  // The VM's own program waits for the caller to attach to it (begin_exec without argv).
  bool attach = false;
};

// Starts a VM that is not running and returns its record; a running one is left alone. kVmm with
// the VMM's own words when it refuses, kUnsupported when the host lacks what it takes.
Result<model::Vm> start_vm(Ports& ports, const std::string& id, const StartOptions& options = {});

}  // namespace cocoon::engine
