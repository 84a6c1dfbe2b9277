// SPDX-License-Identifier: Apache-2.0
// `vm reseed` and what else makes a guest a machine of its own.
#pragma once

#include <string>
#include <vector>

#include "agent_wire/identity.h"
#include "base/clock.h"
#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// Fresh entropy for the guest's kernel, and a new machine id if asked for. Any agent can do it.
Result<void> reseed_vm(Ports& ports, const model::Vm& vm, bool machine_id);

// What the guest made of an identity, item by item.
struct IdentityReport {
  std::vector<std::string> applied;  // "time", "hostname", "nic 0"
  std::vector<std::string> failed;   // "nic 1: No such device"
};

// The present time and fresh entropy; the rest is the caller's to fill in.
Result<agent_wire::Identity> fresh_identity();

// Sends the identity and returns what became of it. Applying it twice changes nothing. Errors as
// open_agent (`once` too); kUnsupported when the agent cannot (the original's).
Result<IdentityReport> apply_identity(Ports& ports, const model::Vm& vm,
                                      const agent_wire::Identity& identity,
                                      Milliseconds connect_limit, bool once = false);

}  // namespace cocoon::engine
