// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_rm.h"

#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/shim_control.h"
#include "engine/snapshot_settle.h"
#include "engine/vm_record.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/process.h"

namespace cocoon::engine {

Result<void> remove_vm(Ports& ports, const std::string& id, bool force) {
  // `rm --force` need not wait for a graceful stop that holds the lock (design §5).
  if (force) COCOON_TRY(kill_during_stop(ports, id), "remove vm {}", id);
  auto lock = COCOON_TRY(lock_vm(ports, id, "rm"));
  auto settled = settle_locked(ports, id);
  if (!settled) {
    if (settled.error().kind != ErrorKind::kNotFound) return pass(std::move(settled).error());
    lock.unlink();  // what a dead command had begun is gone now, and so is the VM
    return {};
  }
  model::Vm vm = std::move(*settled);
  if (vm.state == model::VmState::kRunning && !force) {
    return fail(ErrorKind::kWrongState,
                "remove vm \"{}\": it is running (stop it first, or --force)", vm.config.name);
  }
  COCOON_TRY(sys::check_cancelled());
  vm.op = op_of("rm");
  // The commit before a step that cannot be undone reaches the disk first.
  COCOON_TRY(store_vm(ports, vm, true), "remove vm \"{}\"", vm.config.name);
  sys::CancelShield shield;  // from here on it only goes forward
  COCOON_TRY(end_recorded_vmm(ports, vm), "remove vm \"{}\"", vm.config.name);
  COCOON_TRY(drop_vm(ports, vm), "remove vm \"{}\"", vm.config.name);
  forget_hibernation(ports, vm.hibernation);
  lock.unlink();
  return {};
}

}  // namespace cocoon::engine
