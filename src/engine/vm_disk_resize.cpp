// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_disk_resize.h"

#include <sys/stat.h>
#include <unistd.h>

#include <limits>

#include "base/units.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/rollback.h"
#include "engine/vm_disk.h"
#include "engine/vm_record.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::engine {
namespace {

constexpr std::int64_t kPage = 4096;

// The disk's file, proven to be one before root writes to it: the VMM owns it.
struct File {
  sys::UniqueFd fd;
  std::int64_t size = 0;
};

Result<File> open_file(const Ports& ports, const model::Vm& vm, const model::Disk& disk) {
  sys::UniqueFd dir = COCOON_TRY(sys::open_dir(vm_dir(ports, vm)));
  File file;
  file.fd = COCOON_TRY(sys::open_beneath(dir.get(), disk.path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (fstat(file.fd.get(), &info) != 0) return fail_errno(fmt::format("look at {}", disk.path));
  if (!S_ISREG(info.st_mode) || info.st_uid != vm.uid || info.st_nlink != 1) {
    return fail(ErrorKind::kCorrupt, "{} is not the VM's own file", disk.path);
  }
  file.size = info.st_size;
  return file;
}

Result<std::int64_t> whole_pages(std::int64_t bytes) {
  if (bytes > std::numeric_limits<std::int64_t>::max() - kPage) {
    return fail(ErrorKind::kInvalid, "{} bytes: too many", bytes);
  }
  return (bytes + kPage - 1) / kPage * kPage;
}

Result<void> check_growth(const model::Vm& vm, const model::Disk& disk, const File& file,
                          std::int64_t bytes) {
  std::int64_t now = disk.backing.empty() ? file.size : vm.config.storage;
  if (bytes < now) {
    return fail(ErrorKind::kInvalid, "{} is less than the {} it has: disks only grow",
                bytes_size(bytes), bytes_size(now));
  }
  if (!disk.backing.empty() && vm.state != model::VmState::kRunning) {
    return fail(ErrorKind::kUnsupported,
                "the root disk of a cloud image can be grown only while the VM runs");
  }
  return {};
}

// By the VMM, which tells the guest, or by us when there is none. True: by the VMM.
Result<bool> grow(Ports& ports, const vmm::Backend& backend, const model::Vm& vm,
                  const model::Disk& disk, const File& file, std::int64_t bytes) {
  auto live = COCOON_TRY(LiveVm::open(ports, vm));
  if (live) {
    COCOON_TRY(backend.grow_disk(vm, disk.path, bytes, live->vmm(), deadline_in(kDiskCallLimit)));
  } else if (bytes > file.size && ftruncate(file.fd.get(), bytes) != 0) {
    return fail_errno(fmt::format("grow {}", disk.path));
  }
  sys::side_effect("grow disk");
  return live.has_value();
}

Result<ResizedDisk> resize(Ports& ports, const vmm::Backend& backend, const model::Vm& vm,
                           const model::Disk& disk, std::int64_t wanted) {
  COCOON_TRY(check_hotplug(backend, vm));
  std::int64_t bytes = COCOON_TRY(whole_pages(wanted));
  File file = COCOON_TRY(open_file(ports, vm, disk));
  COCOON_TRY(check_growth(vm, disk, file, bytes));
  COCOON_TRY(sys::check_cancelled());
  Rollback undo;
  undo.add("clear the op", [&ports, vm]() -> Result<void> {
    auto row = COCOON_TRY(change_row(ports, vm.id, [](model::Vm&) {}));
    if (is_disk_op(row)) COCOON_TRY(settle_disk_op(ports, row));
    return {};
  });
  COCOON_TRY(change_row(ports, vm.id, [&](model::Vm& row) {
    row.op = op_of(kDiskResize, disk.path);
    // A qcow2's size is not seen from outside, so the record is never behind it: else a later
    // resize could cut a disk that has grown.
    if (!disk.backing.empty()) row.config.storage = bytes;
  }));
  ResizedDisk out{{}, disk, bytes, false};
  out.hot = COCOON_TRY(grow(ports, backend, vm, disk, file, bytes));
  out.vm = COCOON_TRY(change_row(ports, vm.id, [&](model::Vm& row) {
    if (disk.role == model::DiskRole::kCow) row.config.storage = bytes;
    row.op.reset();
    row.updated_at = utc_now();
  }));
  undo.commit();
  return out;
}

}  // namespace

Result<ResizedDisk> resize_disk(Ports& ports, const std::string& id, const std::string& name,
                                std::int64_t bytes) {
  auto lock = COCOON_TRY(lock_vm(ports, id, kDiskResize));
  model::Vm vm = COCOON_TRY(settle_locked(ports, id));
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  model::Disk disk = COCOON_TRY(find_disk(vm, name), "vm \"{}\"", vm.config.name);
  return COCOON_TRY(resize(ports, *backend, vm, disk, bytes), "resize disk \"{}\" of vm \"{}\"",
                    name, vm.config.name);
}

}  // namespace cocoon::engine
