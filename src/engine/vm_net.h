// SPDX-License-Identifier: Apache-2.0
// `vm net`: how many NICs a VM that is not running has.
#pragma once

#include <string>

#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// Adds NICs of the VM's kind (or, to a VM without any, of the network, bridge or user mode that is
// named), or removes the last ones. Those that stay keep MAC and address. kWrongState: it runs;
// kUnsupported: its hypervisor cannot.
struct NetRequest {
  int nics = 0;
  std::string network;
  std::string bridge;
};
Result<model::Vm> change_nics(Ports& ports, const std::string& id, const NetRequest& request);

}  // namespace cocoon::engine
