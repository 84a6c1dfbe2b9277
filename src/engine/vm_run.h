// SPDX-License-Identifier: Apache-2.0
// `vm run`: create and start.
#pragma once

#include "engine/vm_create.h"

namespace cocoon::engine {

// Creates and starts a VM. When it is interrupted, nothing stays; when the start fails, the VM
// stays in state `error` for a look at it, and the error says how to remove it (spec 03 §25 row
// 29).
Result<model::Vm> run_vm(Ports& ports, const CreateRequest& request);

}  // namespace cocoon::engine
