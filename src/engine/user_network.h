// SPDX-License-Identifier: Apache-2.0
// The user-mode network of `--network user`: one passt process per VM, which lives exactly as long
// as the VMM that is connected to it. It runs in the host's network namespace under the VM's uid,
// and forwards nothing to the host's loopback.
#pragma once

#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// Starts passt for a VM whose NIC is of that kind; nothing for others. Its socket is there when
// this returns.
Result<void> start_user_network(const Ports& ports, const model::Vm& vm);

// Ends it, if it is still there. It ends by itself when its VMM does.
Result<void> stop_user_network(const Ports& ports, const model::Vm& vm);

// passt's arguments. Pure.
std::vector<std::string> passt_arguments(const model::Vm& vm);

}  // namespace cocoon::engine
