// SPDX-License-Identifier: Apache-2.0
// `vm create`: reserve, make, commit (design decision 5).
#pragma once

#include <memory>
#include <optional>

#include "engine/create_request.h"
#include "engine/disk_plan.h"
#include "engine/ports.h"
#include "model/vm.h"
#include "vmm/backend.h"

namespace cocoon::engine {

// A VM as create_vm would make it: nothing of it exists, in the store or elsewhere.
struct Planned {
  model::Vm vm;
  Links links;
  std::unique_ptr<vmm::Backend> backend;
  std::optional<vmm::Firmware> firmware;  // with vm.boot.firmware
  vmm::Launch launch;                     // for planning_accel()
};
// The first half of create_vm, without any side effect (for `vm debug`). Errors as create_vm.
Result<Planned> plan_create(Ports& ports, const CreateRequest& request);

// Creates a VM in state `created`. On any failure, cancellation included, everything it made is
// gone again. kInvalid for bad values, kNotFound for the image or kernel, kConflict ("already
// exists") for the name, kUnsupported for what the backend or host cannot do.
Result<model::Vm> create_vm(Ports& ports, const CreateRequest& request);

}  // namespace cocoon::engine
