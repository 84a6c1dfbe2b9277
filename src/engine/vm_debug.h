// SPDX-License-Identifier: Apache-2.0
// `vm debug`: how a VM would be launched, without making or starting it.
#pragma once

#include "engine/vm_create.h"

namespace cocoon::engine {

// Changes to what is shown, for experiments by hand (spec 01 §5.1); none by default.
struct DebugChanges {
  int max_cpu = 0;               // vCPUs that could be added later; below --cpu: as many
  int balloon = 0;               // MiB that the balloon takes from the guest
  std::string cow;               // another file for the root disk
  std::string cloud_hypervisor;  // another program
};

struct DebugPlan {
  model::Vm vm;
  std::string accel;    // kvm, tcg
  store::fs::path dir;  // where the VM directory would be
  vmm::Launch launch;
};

// Errors as create_vm, without those of a host that could not start it; kUnsupported for a change
// that this backend's launch has no place for.
Result<DebugPlan> plan_debug(Ports& ports, const CreateRequest& request,
                             const DebugChanges& changes);

}  // namespace cocoon::engine
