// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_disk.h"

#include <sys/stat.h>

#include <algorithm>

#include "engine/vm_disk_detach.h"
#include "engine/vm_files.h"
#include "engine/vm_record.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::engine {
namespace {

bool has_disk(const model::Vm& vm, const std::string& path) {
  return std::any_of(vm.disks.begin(), vm.disks.end(),
                     [&path](const model::Disk& disk) { return disk.path == path; });
}

// Does the VMM have the disk? No when there is no VMM.
Result<bool> is_plugged(Ports& ports, const vmm::Backend& backend, const model::Vm& vm,
                        const std::string& path) {
  auto live = COCOON_TRY(LiveVm::open(ports, vm));
  auto able = COCOON_TRY(backend.capabilities());
  if (!live || !able.hotplug) return false;
  auto paths = COCOON_TRY(backend.plugged_disks(vm, live->vmm(), deadline_in(kDiskCallLimit)));
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

Result<model::Vm> clear_op(Ports& ports, const std::string& id) {
  return change_row(ports, id, [](model::Vm& row) { row.op.reset(); });
}

// A file that no row knows any more.
Result<model::Vm> remove_stray(Ports& ports, const model::Vm& vm, const std::string& path) {
  COCOON_TRY(sys::remove_file(vm_dir(ports, vm) / path));
  sys::side_effect("remove data disk");
  return clear_op(ports, vm.id);
}

Result<model::Vm> settle_attach(Ports& ports, const model::Vm& vm, const std::string& phase) {
  auto space = phase.find(' ');
  std::string path = phase.substr(space == std::string::npos ? 0 : space + 1);
  if (phase.starts_with("make ")) return undo_attach(ports, vm, path);
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  auto live = COCOON_TRY(LiveVm::open(ports, vm));
  auto plugged = is_plugged(ports, *backend, vm, path);
  bool absent = live && plugged && !*plugged;
  return absent ? undo_attach(ports, vm, path) : clear_op(ports, vm.id);
}

// Until the row has lost the disk a detach is undone, from then on it goes forward.
Result<model::Vm> settle_detach(Ports& ports, const model::Vm& vm, const std::string& phase) {
  DetachPhase what = parse_detach_phase(phase);
  if (!has_disk(vm, what.path)) {
    COCOON_TRY(finish_detach(ports, vm, what));
    return clear_op(ports, vm.id);
  }
  COCOON_TRY(unlink_kept(ports, vm, what));
  COCOON_TRY(give_back(ports, vm, what));
  auto live = COCOON_TRY(LiveVm::open(ports, vm));
  if (live) {
    auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
    ignore(backend->plug_disk(as_host_can(ports, vm), what.path, live->vmm(),
                              deadline_in(kDiskCallLimit)),
           "it is in the record, so the next start brings it back");
  }
  return clear_op(ports, vm.id);
}

}  // namespace

std::string disk_label(const model::Disk& disk) {
  return disk.serial.empty() ? disk.path.substr(0, disk.path.find('.')) : disk.serial;
}

Result<model::Disk> find_disk(const model::Vm& vm, std::string_view name) {
  for (const model::Disk& disk : vm.disks) {
    if (disk.role == model::DiskRole::kData && disk.serial == name) return disk;
  }
  for (const model::Disk& disk : vm.disks) {
    if (disk.role == model::DiskRole::kCow && (name == "root" || disk_label(disk) == name)) {
      return disk;
    }
  }
  for (const model::Disk& disk : vm.disks) {
    if (disk_label(disk) != name) continue;
    return fail(ErrorKind::kInvalid, "disk \"{}\" has the role {}: it cannot be changed", name,
                model::role_name(disk.role));
  }
  return fail(ErrorKind::kNotFound, "disk not found: {}", name);
}

Result<void> check_hotplug(const vmm::Backend& backend, const model::Vm& vm) {
  COCOON_TRY(check_awake(vm));
  if (vm.state != model::VmState::kRunning) return {};
  if (COCOON_TRY(backend.capabilities()).hotplug) return {};
  return fail(ErrorKind::kUnsupported,
              "{} cannot change the disks of a running VM (capability hotplug); stop it first",
              backend.name());
}

Result<model::Vm> with_disk(const vmm::Backend& backend, model::Vm vm, const model::Disk& disk) {
  // The NoCloud disk stays the last one.
  auto end = std::find_if(vm.disks.begin(), vm.disks.end(), [](const model::Disk& other) {
    return other.role == model::DiskRole::kCidata;
  });
  vm.disks.insert(end, disk);
  COCOON_TRY(model::validate(vm));
  vm.device_plan = COCOON_TRY(backend.replan_disks(vm));
  return vm;
}

Result<model::Vm> without_disk(const vmm::Backend& backend, model::Vm vm, const std::string& path) {
  std::erase_if(vm.disks, [&path](const model::Disk& disk) { return disk.path == path; });
  vm.device_plan = COCOON_TRY(backend.replan_disks(vm));
  return vm;
}

Result<model::Vm> undo_attach(Ports& ports, const model::Vm& vm, const std::string& path) {
  sys::CancelShield shield;
  if (!has_disk(vm, path)) return remove_stray(ports, vm, path);
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  auto plugged = is_plugged(ports, *backend, vm, path);
  if (!plugged || *plugged) {
    auto live = COCOON_TRY(LiveVm::open(ports, vm));
    auto unplugged = live ? backend->unplug_disk(vm, path, live->vmm(), deadline_in(kDiskCallLimit))
                          : Result<void>();
    if (!unplugged) {
      ignore(unplugged, "the guest keeps it, and so does the record");
      return clear_op(ports, vm.id);
    }
  }
  model::Vm before = COCOON_TRY(without_disk(*backend, vm, path));
  auto row = COCOON_TRY(change_row(ports, vm.id, [&before](model::Vm& now) {
    now.disks = before.disks;
    now.device_plan = before.device_plan;
  }));
  return remove_stray(ports, row, path);
}

bool is_disk_op(const model::Vm& vm) {
  return vm.op &&
         (vm.op->verb == kDiskAttach || vm.op->verb == kDiskDetach || vm.op->verb == kDiskResize);
}

Result<model::Vm> settle_disk_op(Ports& ports, const model::Vm& vm) {
  const std::string& phase = vm.op->phase;
  if (vm.op->verb == kDiskAttach) return settle_attach(ports, vm, phase);
  if (vm.op->verb == kDiskDetach) return settle_detach(ports, vm, phase);
  // A disk never shrinks: whatever size its file has by now is good.
  store::fs::path file = vm_dir(ports, vm) / phase;
  return change_row(ports, vm.id, [&](model::Vm& row) {
    for (const model::Disk& disk : row.disks) {
      struct stat info {};
      if (disk.path != phase || disk.role != model::DiskRole::kCow || !disk.backing.empty())
        continue;
      if (lstat(file.c_str(), &info) == 0) row.config.storage = info.st_size;
    }
    row.op.reset();
  });
}

}  // namespace cocoon::engine
