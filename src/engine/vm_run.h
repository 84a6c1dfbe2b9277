// SPDX-License-Identifier: Apache-2.0
// `vm run`: create and start.
#pragma once

#include "base/clock.h"
#include "engine/vm_create.h"

namespace cocoon::engine {

// Creates and starts a VM. When it is interrupted, nothing stays; when the start fails, the VM
// stays in state `error` for a look at it, and the error says how to remove it (spec 03 §25 row
// 29).
Result<model::Vm> run_vm(Ports& ports, const CreateRequest& request);

// A run that the caller attaches to: `-i`, `-t`, `--rm`.
struct AttachedRun {
  model::Vm vm;
  bool own_program = false;  // the VM lives as long as what is attached to
};

// Creates and starts a VM for begin_exec. In a boot-kit guest the VM's own program waits to be
// attached to; everywhere else request.command is for the agent, and the VM goes on after it. With
// `remove`, a failure leaves nothing. kInvalid when there is no program to attach to.
Result<AttachedRun> run_attached(Ports& ports, const CreateRequest& request, bool remove);

// After the session: waits for the VM's end where its program was attached to, and removes it if
// asked to; one whose session came to no end of its own (`attended` false) is removed at once. Not
// stopped by a cancelled command.
Result<void> end_attached(Ports& ports, const AttachedRun& run, bool attended, bool remove);

}  // namespace cocoon::engine
