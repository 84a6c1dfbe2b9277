// SPDX-License-Identifier: Apache-2.0
// `vm debug`: how a VM would be launched, by the very code that launches VMs.
#pragma once

#include "engine/vm_create.h"

namespace cocoon::engine {

struct DebugPlan {
  model::Vm vm;         // as it would be recorded; its ID is made up
  std::string accel;    // kvm, tcg
  vmm::Launch launch;   // run in directory
  store::fs::path dir;  // the VM directory
};

// Makes nothing and starts nothing. Errors as create_vm.
Result<DebugPlan> plan_debug(Ports& ports, const CreateRequest& request);

}  // namespace cocoon::engine
