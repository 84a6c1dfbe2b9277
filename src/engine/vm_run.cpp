// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_run.h"

#include "engine/vm_rm.h"
#include "engine/vm_start.h"
#include "sys/cancel.h"

namespace cocoon::engine {

Result<model::Vm> run_vm(Ports& ports, const CreateRequest& request) {
  model::Vm vm = COCOON_TRY(create_vm(ports, request));
  auto started = start_vm(ports, vm.id);
  if (started) return std::move(*started);
  Error error = std::move(started).error();
  if (error.kind == ErrorKind::kInterrupted) {
    sys::CancelShield shield;
    ignore(remove_vm(ports, vm.id, true), "interrupted run");
    return pass(std::move(error));
  }
  ports.note(
      fmt::format("the VM is kept: `cocoon vm logs {0}` shows its console, `cocoon vm start {0}` "
                  "tries again, `cocoon vm rm {0}` removes it",
                  vm.config.name));
  return pass(std::move(error));
}

}  // namespace cocoon::engine
