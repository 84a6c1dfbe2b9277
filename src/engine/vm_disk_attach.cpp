// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_disk_attach.h"

#include "engine/guest_mount.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/rollback.h"
#include "engine/vm_disk.h"
#include "engine/vm_files.h"
#include "engine/vm_record.h"
#include "sys/cancel.h"
#include "sys/fault.h"

namespace cocoon::engine {
namespace {

struct Plan {
  model::DataDiskSpec spec;
  model::Disk disk;
  model::Vm vm;  // with the disk
};

// Everything that can be refused is refused here.
Result<Plan> plan_attach(const vmm::Backend& backend, const model::Vm& vm,
                         const model::DataDiskSpec& spec) {
  COCOON_TRY(check_hotplug(backend, vm));
  Plan plan;
  plan.spec = COCOON_TRY(model::complete_data_disks({spec}, vm.disks)).front();
  plan.disk = model::data_disk(plan.spec);
  plan.vm = COCOON_TRY(with_disk(backend, vm, plan.disk));
  return plan;
}

Result<void> set_op(Ports& ports, const Plan& plan, std::string_view phase) {
  COCOON_TRY(change_row(ports, plan.vm.id, [&](model::Vm& row) {
    row.disks = plan.vm.disks;
    row.device_plan = plan.vm.device_plan;
    row.op = op_of(kDiskAttach, fmt::format("{} {}", phase, plan.disk.path));
  }));
  return {};
}

// True: a running guest was given the disk.
Result<bool> plug_in(Ports& ports, const vmm::Backend& backend, const Plan& plan) {
  auto live = COCOON_TRY(LiveVm::open(ports, plan.vm));
  if (!live) return false;  // it ended meanwhile: the next start brings the disk
  COCOON_TRY(sys::check_cancelled());
  model::Vm vm = as_host_can(ports, plan.vm);
  COCOON_TRY(backend.plug_disk(vm, plan.disk.path, live->vmm(), deadline_in(kDiskCallLimit)));
  sys::side_effect("plug disk");
  return true;
}

Result<AttachedDisk> attach(Ports& ports, const vmm::Backend& backend, const Plan& plan,
                            int lock_fd) {
  AttachedDisk out;
  out.disk = plan.disk;
  Rollback undo;
  undo.add("take the disk out again",
           [&ports, id = plan.vm.id, path = plan.disk.path]() -> Result<void> {
             auto row = COCOON_TRY(change_row(ports, id, [](model::Vm&) {}));
             COCOON_TRY(undo_attach(ports, row, path));
             return {};
           });
  COCOON_TRY(set_op(ports, plan, "make"));
  COCOON_TRY(make_data_disks(ports, plan.vm, {plan.spec}, lock_fd));
  COCOON_TRY(sys::check_cancelled());
  COCOON_TRY(set_op(ports, plan, "plug"));
  out.hot = COCOON_TRY(plug_in(ports, backend, plan));
  out.vm = COCOON_TRY(change_row(ports, plan.vm.id, [](model::Vm& row) {
    row.op.reset();
    row.updated_at = utc_now();
  }));
  undo.commit();
  return out;
}

}  // namespace

namespace {

Result<AttachedDisk> attach_locked(Ports& ports, const std::string& id,
                                   const model::DataDiskSpec& spec) {
  auto lock = COCOON_TRY(lock_vm(ports, id, kDiskAttach));
  model::Vm vm = COCOON_TRY(settle_locked(ports, id));
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  Plan plan =
      COCOON_TRY(plan_attach(*backend, vm, spec), "attach a disk to vm \"{}\"", vm.config.name);
  return COCOON_TRY(attach(ports, *backend, plan, lock.fd()), "attach a disk to vm \"{}\"",
                    vm.config.name);
}

}  // namespace

Result<AttachedDisk> attach_disk(Ports& ports, const std::string& id,
                                 const model::DataDiskSpec& spec) {
  AttachedDisk done = COCOON_TRY(attach_locked(ports, id, spec));
  if (!done.hot) return done;
  // The guest may take its time: the VM is not locked for that.
  auto mounted = mount_in_guest(ports, done.vm, done.disk);
  if (mounted) done.mounted = *mounted;
  if (!mounted) ports.note("not mounted: " + mounted.error().to_string());
  return done;
}

}  // namespace cocoon::engine
