// SPDX-License-Identifier: Apache-2.0
#include "engine/restore_files.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "engine/cgroups.h"
#include "engine/live_vm.h"
#include "engine/reconcile.h"
#include "engine/snapshot_files.h"
#include "engine/vm_files.h"
#include "engine/vm_load.h"
#include "engine/vm_network.h"
#include "engine/vm_record.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNew = "restore-new";  // staged disks
constexpr const char* kOld = "restore-old";  // the VM's own, meanwhile

}  // namespace

Result<void> stage_disks(const Ports& ports, const model::Snapshot& snapshot, const model::Vm& vm) {
  fs::path dir = vm_dir(ports, vm);
  COCOON_TRY(sys::remove_tree(dir / kNew));
  COCOON_TRY(sys::make_dirs(dir / kNew, 0700));
  sys::side_effect("make staging directory");
  return copy_disks(snapshot, snapshot_dir(ports, snapshot.id), vm, dir / kNew, {});
}

Result<void> swap_disks(const Ports& ports, const model::Snapshot& snapshot, const model::Vm& vm) {
  fs::path dir = vm_dir(ports, vm);
  COCOON_TRY(sys::make_dirs(dir / kOld, 0700));
  sys::side_effect("make directory of old disks");
  for (const model::Member& member : snapshot.members) {
    if (member.kind != model::MemberKind::kDisk) continue;
    // One that the VM does not have (firmware variables) has nothing to go back to.
    if (sys::exists(dir / member.name)) {
      COCOON_TRY(sys::rename_path(dir / member.name, dir / kOld / member.name));
    }
    COCOON_TRY(sys::rename_path(dir / kNew / member.name, dir / member.name));
  }
  return {};
}

Result<void> swap_back(const Ports& ports, const model::Vm& vm) {
  fs::path dir = vm_dir(ports, vm);
  for (const std::string& name : COCOON_TRY(sys::list_dir(dir / kOld))) {
    COCOON_TRY(sys::rename_path(dir / kOld / name, dir / name));
  }
  return drop_kept_disks(ports, vm);
}

Result<void> drop_kept_disks(const Ports& ports, const model::Vm& vm) {
  fs::path dir = vm_dir(ports, vm);
  COCOON_TRY(sys::remove_tree(dir / kOld));
  COCOON_TRY(sys::remove_tree(dir / kNew));
  sys::side_effect("remove restore directories");
  return {};
}

Result<model::Vm> finish_restore(Ports& ports, model::Vm vm) {
  COCOON_TRY(drop_kept_disks(ports, vm));
  if (COCOON_TRY(LiveVm::open(ports, vm))) COCOON_TRY(open_network(vm), "open the network");
  vm.op.reset();
  COCOON_TRY(store_vm(ports, vm));
  return vm;
}

Result<model::Vm> undo_restore(Ports& ports, model::Vm vm, const std::string& why) {
  if (vm.op && vm.op->phase.ends_with(kRestoreDone)) return finish_restore(ports, std::move(vm));
  auto old_guest = COCOON_TRY(LiveVm::open(ports, vm));
  if (!old_guest) COCOON_TRY(end_recorded_vmm(ports, vm));
  COCOON_TRY(swap_back(ports, vm));
  vm.op.reset();
  if (!old_guest) {
    COCOON_TRY(remove_stand_ins(vm));
    COCOON_TRY(remove_memory(ports, vm));
    COCOON_TRY(sys::remove_file(ports.paths.exit_file(vm.id)));
    COCOON_TRY(remove_vm_cgroup(ports, vm.id));
    if (vm.state == model::VmState::kRunning) {
      vm.state = model::VmState::kStopped;
      vm.stopped_at = utc_now();
    }
    vm.vmm = {};
    vm.exit_code.reset();
    vm.exit_reason = fmt::format("{} {}; its disks are as before, its memory is {}",
                                 vm.hibernation.empty() ? "restore" : "wake-up",
                                 why.empty() ? "was not finished" : "failed: " + why,
                                 vm.hibernation.empty() ? "lost" : "still saved");
  }
  vm.updated_at = utc_now();
  COCOON_TRY(store_vm(ports, vm));
  return vm;
}

Result<model::Vm> fall_asleep(Ports& ports, model::Vm vm) {
  sys::CancelShield shield;
  COCOON_TRY(end_recorded_vmm(ports, vm));
  if (vm.state == model::VmState::kRunning) vm = COCOON_TRY(fold_end(ports, vm, true));
  COCOON_TRY(remove_vm_cgroup(ports, vm.id));
  vm.op.reset();
  vm.exit_reason = "hibernated";
  COCOON_TRY(store_vm(ports, vm));
  return vm;
}

}  // namespace cocoon::engine
