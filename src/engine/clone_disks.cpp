// SPDX-License-Identifier: Apache-2.0
#include "engine/clone_disks.h"

#include <algorithm>

#include "engine/guest_mount.h"
#include "engine/live_vm.h"
#include "engine/vm_disk.h"
#include "engine/vm_files.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::engine {
namespace {

Result<void> check_able(const vmm::Backend& backend, std::string_view flag) {
  if (COCOON_TRY(backend.capabilities()).hotplug) return {};
  return fail(ErrorKind::kUnsupported,
              "{}: {} cannot change the disks of a guest that goes on (capability hotplug)", flag,
              backend.name());
}

Result<void> drop(const vmm::Backend& backend, const std::string& name, model::Vm& vm,
                  DiskChanges& changes) {
  COCOON_TRY(check_able(backend, "--drop-disk"));
  model::Disk disk = COCOON_TRY(find_disk(vm, name), "--drop-disk {}", name);
  if (disk.role != model::DiskRole::kData) {
    return fail(ErrorKind::kInvalid, "--drop-disk {}: it is the root disk", name);
  }
  COCOON_TRY(backend.check_unplug(vm, disk.path), "--drop-disk {}", name);
  vm = COCOON_TRY(without_disk(backend, std::move(vm), disk.path));
  changes.dropped.push_back(std::move(disk));
  return {};
}

Result<LiveVm> open_live(Ports& ports, const model::Vm& vm) {
  auto live = COCOON_TRY(LiveVm::open(ports, vm));
  if (!live) return fail(ErrorKind::kVmm, "its VMM has just ended");
  return std::move(*live);
}

Result<void> take_out(Ports& ports, const vmm::Backend& backend, const model::Vm& loaded,
                      const model::Disk& disk) {
  COCOON_TRY(unmount_in_guest(ports, loaded, disk, agent_limit(loaded)));
  LiveVm live = COCOON_TRY(open_live(ports, loaded));
  COCOON_TRY(backend.unplug_disk(loaded, disk.path, live.vmm(), deadline_in(kUnplugLimit)));
  sys::side_effect("unplug disk");
  COCOON_TRY(sys::remove_file(vm_dir(ports, loaded) / disk.path));
  sys::side_effect("remove data disk");
  return sys::check_cancelled();
}

Result<void> put_in(Ports& ports, const vmm::Backend& backend, const model::Vm& vm,
                    const model::Disk& disk) {
  LiveVm live = COCOON_TRY(open_live(ports, vm));
  COCOON_TRY(backend.plug_disk(as_host_can(ports, vm), disk.path, live.vmm(),
                               deadline_in(kDiskCallLimit)));
  sys::side_effect("plug disk");
  return sys::check_cancelled();
}

Result<void> mount(Ports& ports, const model::Vm& vm, const model::Disk& disk) {
  auto mounted = mount_in_guest(ports, vm, disk, agent_limit(vm));
  if (mounted && (*mounted || disk.mount_point.empty())) return {};
  if (!mounted && mounted.error().kind == ErrorKind::kInterrupted) {
    return pass(std::move(mounted).error());
  }
  ports.note(fmt::format("data disk \"{}\" is in the guest, but not mounted at {}: {}", disk.serial,
                         disk.mount_point,
                         mounted ? "it has no agent" : mounted.error().to_string()));
  return {};
}

}  // namespace

Result<DiskChanges> plan_disk_changes(const vmm::Backend& backend,
                                      const std::vector<std::string>& dropped,
                                      const std::vector<model::DataDiskSpec>& added,
                                      model::Vm& vm) {
  DiskChanges changes;
  changes.loaded_disks = vm.disks;
  changes.loaded_plan = vm.device_plan;
  for (const std::string& name : dropped) COCOON_TRY(drop(backend, name, vm, changes));
  if (added.empty()) return changes;
  COCOON_TRY(check_able(backend, "--data-disk"));
  changes.added = COCOON_TRY(model::complete_data_disks(added, vm.disks), "--data-disk");
  model::Vm running = vm;
  running.state = model::VmState::kRunning;  // so they get places for hot-plug
  for (const model::DataDiskSpec& spec : changes.added) {
    running = COCOON_TRY(with_disk(backend, std::move(running), model::data_disk(spec)),
                         "--data-disk {}", spec.name);
  }
  vm.disks = std::move(running.disks);
  vm.device_plan = std::move(running.device_plan);
  return changes;
}

model::Vm as_loaded(const DiskChanges& changes, model::Vm vm) {
  vm.disks = changes.loaded_disks;
  vm.device_plan = changes.loaded_plan;
  return vm;
}

Result<void> change_disks(Ports& ports, const vmm::Backend& backend, const DiskChanges& changes,
                          const model::Vm& vm, int lock_fd) {
  model::Vm loaded = as_loaded(changes, vm);
  for (const model::Disk& disk : changes.dropped) {
    COCOON_TRY(take_out(ports, backend, loaded, disk), "leave data disk \"{}\" out", disk.serial);
  }
  COCOON_TRY(make_data_disks(ports, vm, changes.added, lock_fd));
  for (const model::DataDiskSpec& spec : changes.added) {
    COCOON_TRY(put_in(ports, backend, vm, model::data_disk(spec)), "add data disk \"{}\"",
               spec.name);
  }
  for (const model::DataDiskSpec& spec : changes.added) {
    COCOON_TRY(mount(ports, vm, model::data_disk(spec)));
  }
  return {};
}

}  // namespace cocoon::engine
