// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_settle.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/live_vm.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/restore_files.h"
#include "engine/snapshot_files.h"
#include "engine/vm_files.h"
#include "engine/vm_record.h"
#include "engine/vm_view.h"
#include "store/snapshot_rows.h"
#include "store/vm_rows.h"
#include "sys/fault.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

constexpr Milliseconds kResumeLimit{10'000};

// The guardian has done it, unless somebody killed it too.
Result<void> resume_paused(Ports& ports, const model::Vm& vm) {
  auto live = COCOON_TRY(LiveVm::open(ports, vm));
  if (!live) return {};
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  Deadline deadline = deadline_in(kResumeLimit);
  auto status = COCOON_TRY(backend->status(live->vmm(), deadline));
  if (!status.paused) return {};
  COCOON_TRY(backend->resume(live->vmm(), deadline));
  sys::side_effect("resume guest");
  return {};
}

Result<void> drop_unfinished(Ports& ports, const std::string& id) {
  auto snapshot = COCOON_TRY(store::get_snapshot(ports.db, id));
  if (!snapshot || snapshot->state == model::SnapshotState::kReady) return {};
  COCOON_TRY(settle_snapshot(ports, *snapshot));
  return {};
}

Result<model::Vm> settle_save(Ports& ports, model::Vm vm) {
  ignore(resume_paused(ports, vm), "a VMM that does not answer is not ours to judge here");
  COCOON_TRY(remove_save_dirs(ports, vm));
  COCOON_TRY(drop_unfinished(ports, vm.op->phase));
  vm.op.reset();
  COCOON_TRY(store_vm(ports, vm));
  return vm;
}

// Once the row says so the guest sleeps, even if its VMM has not heard of it.
Result<model::Vm> settle_hibernation(Ports& ports, model::Vm vm) {
  if (vm.hibernation.empty()) return settle_save(ports, std::move(vm));
  COCOON_TRY(remove_save_dirs(ports, vm));
  return fall_asleep(ports, std::move(vm));
}

}  // namespace

Result<void> drop_snapshot(Ports& ports, const std::string& id) {
  COCOON_TRY(remove_snapshot_files(ports, id));
  auto tx = COCOON_TRY(ports.db.begin());
  COCOON_TRY(store::delete_snapshot(ports.db, id));
  return tx.commit();
}

Result<bool> settle_snapshot(Ports& ports, const model::Snapshot& snapshot) {
  auto lock = lock_snapshot(ports, snapshot.id, sys::FileLock::Mode::kExclusive, "clean up",
                            Milliseconds(0));
  if (!lock && lock.error().kind == ErrorKind::kBusy) return false;
  if (!lock) return pass(std::move(lock).error());
  auto now = COCOON_TRY(store::get_snapshot(ports.db, snapshot.id));
  if (now && now->state == model::SnapshotState::kReady) return false;
  COCOON_TRY(drop_snapshot(ports, snapshot.id), "clean up snapshot {}", snapshot.id);
  lock->unlink();
  return true;
}

void forget_hibernation(Ports& ports, const std::string& id) {
  if (id.empty()) return;
  auto lock = lock_snapshot(ports, id, sys::FileLock::Mode::kExclusive, "forget");
  auto dropped = lock ? drop_snapshot(ports, id) : Result<void>(pass(lock.error()));
  if (dropped) {
    lock->unlink();
    return;
  }
  log_warn("snapshot {}: {}; `cocoon gc` removes it", id, dropped.error().to_string());
}

Result<void> reclaim_name(Ports& ports, const std::string& name) {
  if (name.empty() || !COCOON_TRY(store::snapshot_name_taken(ports.db, name))) return {};
  std::string id = COCOON_TRY(store::resolve_snapshot(ports.db, name));
  return drop_unfinished(ports, id);
}

Result<void> clear_op(Ports& ports, const std::string& vm_id) {
  auto tx = COCOON_TRY(ports.db.begin());
  auto vm = COCOON_TRY(store::get_vm(ports.db, vm_id));
  if (!vm || !vm->op) return {};
  vm->op.reset();
  COCOON_TRY(store::update_vm(ports.db, *vm));
  return tx.commit();
}

bool is_snapshot_op(const model::Vm& vm) {
  return vm.op &&
         (vm.op->verb == kSaveOp || vm.op->verb == kHibernateOp || vm.op->verb == kRestoreOp);
}

Result<model::Vm> settle_snapshot_op(Ports& ports, model::Vm vm) {
  if (vm.op->verb == kHibernateOp) return settle_hibernation(ports, std::move(vm));
  if (vm.op->verb == kRestoreOp) return undo_restore(ports, std::move(vm));
  return settle_save(ports, std::move(vm));
}

}  // namespace cocoon::engine
