// SPDX-License-Identifier: Apache-2.0
// `vm wait`: until a VM is ready for work, or has ended.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// Until the agent in the guest answers: its program or init has been started by then. Errors as
// open_agent.
Result<void> wait_ready(Ports& ports, const model::Vm& vm, Milliseconds limit);

// Until the VM does not run any more; returns its record. Without a limit for ever. kTimeout,
// kNotFound when it was removed meanwhile, kInterrupted.
Result<model::Vm> wait_end(Ports& ports, const std::string& id, std::optional<Milliseconds> limit);

}  // namespace cocoon::engine
