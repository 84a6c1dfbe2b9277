// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_rm.h"

#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/shim_control.h"
#include "engine/snapshot_settle.h"
#include "engine/vm_view.h"
#include "store/vm_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/process.h"

namespace cocoon::engine {
namespace {

// The commit before a step that cannot be undone reaches the disk first.
Result<void> mark_removing(Ports& ports, model::Vm& vm) {
  vm.op = op_of("rm");
  COCOON_TRY(ports.db.set_durable(true));
  auto tx = COCOON_TRY(ports.db.begin());
  COCOON_TRY(store::update_vm(ports.db, vm));
  COCOON_TRY(tx.commit());
  return ports.db.set_durable(false);
}

}  // namespace

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
  COCOON_TRY(mark_removing(ports, vm), "remove vm \"{}\"", vm.config.name);
  sys::CancelShield shield;  // from here on it only goes forward
  COCOON_TRY(end_recorded_vmm(ports, vm), "remove vm \"{}\"", vm.config.name);
  COCOON_TRY(drop_vm(ports, vm), "remove vm \"{}\"", vm.config.name);
  forget_hibernation(ports, vm.hibernation);
  lock.unlink();
  return {};
}

}  // namespace cocoon::engine
