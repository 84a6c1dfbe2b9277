// SPDX-License-Identifier: Apache-2.0
// The graceful end of a VM through the agent in its guest.
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// How long the agent is waited for: to be reached, then to answer.
struct AgentStopLimits {
  Milliseconds connect;
  Milliseconds answer;
};

// Together at most half of `left`, the time for the whole graceful stop: a guest whose agent is not
// there or does not answer has the backend's way still to come. Pure.
AgentStopLimits agent_stop_limits(Milliseconds left);

// Asks the guest to end in order: its program gets SIGTERM, or its init powers off (`by_reboot`: it
// reboots, where that is what ends the VMM). True: it said that it will. False: there is no agent,
// or none that can; the backend's own way is left then. `deadline`: of the whole graceful stop.
// kInterrupted alone is an error.
Result<bool> ask_agent_to_stop(Ports& ports, const model::Vm& vm, bool by_reboot,
                               Deadline deadline);

}  // namespace cocoon::engine
