// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_start.h"

#include "base/clock.h"
#include "base/id.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/rollback.h"
#include "engine/user_network.h"
#include "engine/vm_accel.h"
#include "engine/vm_files.h"
#include "engine/vm_launch.h"
#include "engine/vm_network.h"
#include "engine/vm_record.h"
#include "engine/vm_restore.h"
#include "sys/cancel.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

// Files of this start, in place before the VMM exists.
Result<vmm::Launch> prepare(Ports& ports, const vmm::Backend& backend, model::Vm& vm,
                            vmm::Accel accel, int lock_fd) {
  COCOON_TRY(model::validate(vm));
  COCOON_TRY(prepare_launch(ports, vm));
  COCOON_TRY(restore_network(ports, vm, lock_fd));  // gone after a reboot; its TAPs are that uid's
  auto able = COCOON_TRY(backend.capabilities());
  if (vm.boot.boot_kit) COCOON_TRY(make_initrd(ports, vm, able.ends_by_reboot));
  vmm::Launch launch = COCOON_TRY(backend.plan_launch(as_host_can(ports, vm), accel));
  if (launch.memory_file_bytes > 0) COCOON_TRY(make_memory(ports, vm, launch.memory_file_bytes));
  COCOON_TRY(start_user_network(ports, vm));
  return launch;
}

// Everything from the launch to a running guest; undone by the caller's Rollback on failure.
Result<void> bring_up(Ports& ports, const vmm::Backend& backend, const vmm::AccelChoice& choice,
                      model::Vm& vm, int lock_fd, Rollback& undo) {
  vm.accel = vmm::accel_name(choice.accel);
  vm.nonce = COCOON_TRY(random_hex(16));
  vm.restore_mode.clear();
  // A clone may have been given more than its snapshot's guest could be shown.
  vm.device_plan = COCOON_TRY(backend.replan_size(vm));
  undo_launch(ports, vm, undo);
  vmm::Launch launch = COCOON_TRY(prepare(ports, backend, vm, choice.accel, lock_fd));
  return launch_vm(ports, choice, vm, launch,
                   [&](const vmm::RunningVmm& running, Deadline deadline) {
                     return backend.finish_start(launch, running, deadline);
                   });
}

// Brings the VM up and commits its row; after a failure nothing of the start is there any more.
Result<void> run_or_undo(Ports& ports, const vmm::Backend& backend, const vmm::AccelChoice& choice,
                         model::Vm& vm, int lock_fd) {
  Rollback undo;
  COCOON_TRY(bring_up(ports, backend, choice, vm, lock_fd, undo));
  mark_running(vm);
  COCOON_TRY(store_vm(ports, vm));
  undo.commit();
  return {};
}

// Row after a start that did not work: an interrupted one leaves the VM as it was.
void record_failure(Ports& ports, model::Vm before, const Error& error) {
  sys::CancelShield shield;
  before.op.reset();
  if (error.kind != ErrorKind::kInterrupted) {
    before.state = model::VmState::kError;
    before.exit_reason = fmt::format("start: {}", error.to_string());
    before.exit_code.reset();
    before.updated_at = utc_now();
  }
  ignore(store_vm(ports, before), "the next command settles the row");
}

}  // namespace

Result<model::Vm> start_vm(Ports& ports, const std::string& id, const StartOptions& options) {
  auto lock = COCOON_TRY(lock_vm(ports, id, "start"));
  model::Vm before = COCOON_TRY(settle_locked(ports, id));
  if (before.state == model::VmState::kRunning) return before;
  if (!before.hibernation.empty()) return wake_vm(ports, std::move(before), lock.fd());
  auto backend = COCOON_TRY(vmm::make_backend(before.hypervisor, ports.config));
  // Refused before anything is done, the row included.
  auto choice =
      COCOON_TRY(choose_accel(ports, *backend, before), "start vm \"{}\"", before.config.name);
  model::Vm vm = before;
  vm.op = op_of("start");
  vm.run.attach = options.attach;
  COCOON_TRY(store_vm(ports, vm), "start vm \"{}\"", vm.config.name);
  auto up = run_or_undo(ports, *backend, choice, vm, lock.fd());
  if (up) return vm;
  record_failure(ports, before, up.error());
  return pass(std::move(up).error(), fmt::format("start vm \"{}\"", before.config.name));
}

}  // namespace cocoon::engine
