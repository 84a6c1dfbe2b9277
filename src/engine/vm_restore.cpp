// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_restore.h"

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/restore_files.h"
#include "engine/rollback.h"
#include "engine/snapshot_settle.h"
#include "engine/vm_files.h"
#include "engine/vm_identity.h"
#include "engine/vm_launch.h"
#include "engine/vm_load.h"
#include "engine/vm_network.h"
#include "engine/vm_record.h"
#include "store/vm_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"

namespace cocoon::engine {
namespace {

// A restore under way. `before` is the record as it was, `vm` as it will be.
struct Restore {
  Ports& ports;
  const vmm::Backend& backend;
  const model::Snapshot& snapshot;
  vmm::RestoreMode mode;
  model::Vm before;
  model::Vm vm;
  int lock_fd = -1;
  bool swaps_nics = false;  // the guest gets other NICs: it was another VM's
};

// The same disks in the same order: what the guest knows of them is in its memory.
Result<void> check_disks(const model::Vm& saved, const model::Vm& vm) {
  for (std::size_t i = 0; i < std::max(saved.disks.size(), vm.disks.size()); ++i) {
    if (i >= vm.disks.size()) {
      return fail(ErrorKind::kInvalid, "the snapshot has disk \"{}\", which the VM has not",
                  saved.disks[i].path);
    }
    if (i >= saved.disks.size()) {
      return fail(ErrorKind::kInvalid, "the VM has disk \"{}\", which the snapshot has not",
                  vm.disks[i].path);
    }
    const model::Disk& one = saved.disks[i];
    const model::Disk& other = vm.disks[i];
    if (one.role != other.role) {
      return fail(ErrorKind::kInvalid, "disk {} is \"{}\" in the snapshot, but \"{}\" in the VM", i,
                  model::role_name(one.role), model::role_name(other.role));
    }
    bool same = one.path == other.path && one.serial == other.serial &&
                one.read_only == other.read_only && one.blob == other.blob &&
                one.backing == other.backing;
    if (!same) {
      return fail(ErrorKind::kInvalid, "disk {} is \"{}\" in the snapshot, but \"{}\" in the VM", i,
                  one.path, other.path);
    }
  }
  return {};
}

Result<void> check_fit(const model::Snapshot& snapshot, const model::Vm& vm) {
  const model::Vm& saved = snapshot.vm;
  if (saved.hypervisor != vm.hypervisor) {
    return fail(ErrorKind::kInvalid, "the snapshot is of {}, the VM runs on {}", saved.hypervisor,
                vm.hypervisor);
  }
  // What the VM rests on besides its disks: its row, which keeps it from collection, does not
  // change.
  if (saved.boot.kernel_id != vm.boot.kernel_id) {
    return fail(ErrorKind::kInvalid, "the snapshot boots kernel {}, the VM {}",
                saved.boot.kernel_id.empty() ? "of its image" : saved.boot.kernel_id,
                vm.boot.kernel_id.empty() ? "of its image" : vm.boot.kernel_id);
  }
  if (saved.nics.size() != vm.nics.size()) {
    return fail(ErrorKind::kInvalid, "nic count mismatch: the snapshot has {}, the VM {}",
                saved.nics.size(), vm.nics.size());
  }
  for (std::size_t i = 0; i < saved.nics.size(); ++i) {
    bool user = saved.nics[i].backend == model::kUserNic;
    if (user != (vm.nics[i].backend == model::kUserNic) ||
        saved.nics[i].num_queues != vm.nics[i].num_queues) {
      return fail(ErrorKind::kInvalid, "NIC {} was another device in the snapshot", i);
    }
  }
  return check_disks(saved, vm);
}

// The VM as it was saved, but who it is and where it is connected.
model::Vm as_restored(const model::Snapshot& snapshot, const model::Vm& before) {
  model::Vm vm = snapshot.vm;
  vm.id = before.id;
  vm.uid = before.uid;
  vm.config.name = before.config.name;
  vm.config.network = before.config.network;
  vm.nics = before.nics;
  vm.ports = before.ports;
  vm.created_at = before.created_at;
  vm.state = before.state;
  vm.vmm = before.vmm;
  vm.op = before.op;
  vm.hibernation = before.hibernation;
  return vm;
}

Result<void> set_step(Restore& restore, std::string_view step, bool durable) {
  model::Vm row = restore.before;
  row.op = op_of(kRestoreOp, fmt::format("{} {}", restore.snapshot.id, step));
  return store_vm(restore.ports, row, durable);
}

// The running guest is ended without being asked: what it has not saved is what is to go.
Result<void> end_guest(Restore& restore) {
  COCOON_TRY(end_recorded_vmm(restore.ports, restore.before));
  sys::side_effect("end old guest");
  return remove_memory(restore.ports, restore.before);
}

// From here on there is no guest until this is over.
Result<void> bring_back(Restore& restore, const PlannedLoad& planned) {
  Ports& ports = restore.ports;
  Rollback undo;
  undo_launch(ports, restore.vm, undo);
  COCOON_TRY(end_guest(restore));
  COCOON_TRY(swap_disks(ports, restore.snapshot, restore.vm));
  COCOON_TRY(restore_network(ports, restore.vm, restore.lock_fd));
  COCOON_TRY(close_network(restore.vm));
  COCOON_TRY(load_vm(ports, restore.backend, restore.snapshot, planned, restore.vm));
  undo.commit();
  return {};
}

// The restored guest runs: nothing is taken back any more.
Result<void> settle_in(Restore& restore) {
  Ports& ports = restore.ports;
  mark_running(restore.vm);
  restore.vm.hibernation.clear();
  restore.vm.op = op_of(kRestoreOp, fmt::format("{} {}", restore.snapshot.id, kRestoreDone));
  COCOON_TRY(store_vm(ports, restore.vm, true));
  const model::Vm& before = restore.swaps_nics ? restore.vm : restore.snapshot.vm;
  auto told = tell_identity(ports, restore.vm, before, false, is_mute(restore.snapshot));
  if (!told) {
    ports.note(fmt::format("the guest was not told of the time: {}", told.error().to_string()));
  } else if (!*told) {
    ports.note("no agent in the guest: its clock is the snapshot's");
    if (restore.swaps_nics) note_lines(ports, swap_note(restore.vm));
  }
  restore.vm = COCOON_TRY(finish_restore(ports, std::move(restore.vm)));
  return {};
}

Result<void> restore(Restore& restore) {
  Ports& ports = restore.ports;
  auto planned =
      COCOON_TRY(plan_load(ports, restore.backend, restore.snapshot, as_host_can(ports, restore.vm),
                           restore.mode, is_mute(restore.snapshot)));
  restore.swaps_nics = !planned.plan.stand_ins.empty();
  COCOON_TRY(set_step(restore, "stage", false));
  Rollback undo;
  undo.add("leave the VM as it was", [&restore]() -> Result<void> {
    COCOON_TRY(drop_kept_disks(restore.ports, restore.before));
    return store_vm(restore.ports, restore.before);
  });
  COCOON_TRY(stage_disks(ports, restore.snapshot, restore.vm), "stage the disks");
  COCOON_TRY(sys::check_cancelled());
  COCOON_TRY(set_step(restore, "swap", true));
  undo.commit();
  auto back = bring_back(restore, planned);
  if (!back) {
    sys::CancelShield shield;
    std::string why = back.error().to_string();
    auto undone = undo_restore(ports, restore.before, why);
    if (!undone) log_warn("undo the restore: {}", undone.error().to_string());
    return pass(std::move(back).error(), "the VM is stopped, with its disks as before");
  }
  sys::CancelShield shield;  // it runs; what is left is to say so
  return settle_in(restore);
}

// With a first look at whether the two fit: reading all of a snapshot takes a while.
Result<void> verify(Ports& ports, const std::string& vm_id, const model::Snapshot& snapshot,
                    const RestoreRequest& request) {
  if (!request.verify) return {};
  auto vm = COCOON_TRY(store::get_vm(ports.db, vm_id));
  if (vm) COCOON_TRY(check_fit(snapshot, *vm), "restore vm \"{}\"", vm->config.name);
  return request.verify(ports, snapshot.id);
}

}  // namespace

Result<model::Vm> restore_vm(Ports& ports, const std::string& vm_id, const std::string& snapshot_id,
                             const RestoreRequest& request) {
  auto snapshot_lock =
      COCOON_TRY(lock_snapshot(ports, snapshot_id, sys::FileLock::Mode::kShared, "restore"));
  model::Snapshot snapshot = COCOON_TRY(ready_snapshot(ports, snapshot_id));
  COCOON_TRY(verify(ports, vm_id, snapshot, request));
  auto lock = COCOON_TRY(lock_vm(ports, vm_id, "restore"));
  model::Vm before = COCOON_TRY(settle_locked(ports, vm_id));
  std::string what = before.config.name;
  COCOON_TRY(check_fit(snapshot, before), "restore vm \"{}\"", what);
  auto backend = COCOON_TRY(vmm::make_backend(before.hypervisor, ports.config));
  Restore work{ports,    *backend, snapshot, request.mode, before, as_restored(snapshot, before),
               lock.fd()};
  std::string hibernation = before.hibernation;
  COCOON_TRY(restore(work), "restore vm \"{}\"", what);
  if (hibernation != snapshot_id) forget_hibernation(ports, hibernation);
  return std::move(work.vm);
}

Result<model::Vm> wake_vm(Ports& ports, model::Vm before, int lock_fd) {
  std::string id = before.hibernation;
  std::string what = before.config.name;
  {
    auto snapshot_lock =
        COCOON_TRY(lock_snapshot(ports, id, sys::FileLock::Mode::kShared, "start"));
    model::Snapshot snapshot = COCOON_TRY(ready_snapshot(ports, id), "wake vm \"{}\"", what);
    COCOON_TRY(check_fit(snapshot, before), "wake vm \"{}\"", what);
    auto backend = COCOON_TRY(vmm::make_backend(before.hypervisor, ports.config));
    Restore work{
        ports,  *backend, snapshot, vmm::RestoreMode::kAuto, before, as_restored(snapshot, before),
        lock_fd};
    COCOON_TRY(restore(work), "wake vm \"{}\"", what);
    before = std::move(work.vm);
  }
  forget_hibernation(ports, id);
  return before;
}

}  // namespace cocoon::engine
