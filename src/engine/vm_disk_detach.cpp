// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_disk_detach.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "engine/guest_mount.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/rollback.h"
#include "engine/vm_disk.h"
#include "engine/vm_files.h"
#include "engine/vm_record.h"
#include "engine/vm_view.h"
#include "model/wording.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/file_lease.h"
#include "sys/files.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kArrow = " -> ";
// From the end of a device to the close of its file.
constexpr Milliseconds kCloseLimit{2'000};

std::string phase_of(const DetachPhase& what) {
  return what.keep.empty() ? what.path
                           : fmt::format("{}{}{}", what.path, kArrow, what.keep.native());
}

bool is_same_file(const fs::path& one, const fs::path& other) {
  struct stat a {};
  struct stat b {};
  return lstat(one.c_str(), &a) == 0 && lstat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

// A kept file is moved by name only.
Result<void> check_keep(const fs::path& file, const fs::path& keep) {
  if (keep.empty()) return {};
  struct stat own {};
  struct stat parent {};
  if (lstat(keep.c_str(), &own) == 0) {
    return fail(ErrorKind::kConflict, "--keep {}: {}", keep.native(), model::kAlreadyExists);
  }
  if (lstat(file.c_str(), &own) != 0) return fail_errno(fmt::format("look at {}", file.native()));
  if (stat(keep.parent_path().c_str(), &parent) != 0) {
    return fail_errno(fmt::format("--keep {}: look at its directory", keep.native()));
  }
  if (parent.st_dev == own.st_dev) return {};
  return fail(ErrorKind::kUnsupported,
              "--keep {}: not on the file system of {}, so the disk cannot be moved there",
              keep.native(), file.parent_path().native());
}

Result<void> check_one_name(int fd, const fs::path& file) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return fail_errno(fmt::format("look at {}", file.native()));
  // A second name would be the VMM's way to the file after it has been kept.
  if (S_ISREG(info.st_mode) && info.st_nlink == 1) return {};
  return fail(ErrorKind::kCorrupt, "{} is not a file with this one name", file.native());
}

// A VMM that a guest has broken into may hold on to what it was told to close; such a file must not
// leave its directory, where it would go on changing. A read lease is what proves it, once the VMM
// can neither open the file again nor give it another name: so it is root's first.
Result<void> take_over(const fs::path& file) {
  sys::UniqueFd fd = COCOON_TRY(sys::open_file(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  COCOON_TRY(check_one_name(fd.get(), file));
  if (fchown(fd.get(), 0, 0) != 0 || fchmod(fd.get(), 0600) != 0) {
    return fail_errno(fmt::format("take over {}", file.native()));
  }
  sys::side_effect("take over data disk");
  COCOON_TRY(check_one_name(fd.get(), file));
  auto writers = COCOON_TRY(sys::wait_no_writer(fd.get(), deadline_in(kCloseLimit)));
  if (writers != sys::Writers::kSome) return {};
  return fail(ErrorKind::kVmm, "the VMM holds {} open", file.filename().native());
}

Result<void> unplug(Ports& ports, const vmm::Backend& backend, const model::Vm& vm,
                    const std::string& path, Rollback& undo) {
  auto live = COCOON_TRY(LiveVm::open(ports, vm));
  if (!live) return {};
  auto disk = std::find_if(vm.disks.begin(), vm.disks.end(),
                           [&path](const model::Disk& one) { return one.path == path; });
  undo.add("mount the disk again", [&ports, vm, disk = *disk]() -> Result<void> {
    COCOON_TRY(mount_in_guest(ports, vm, disk));
    return {};
  });
  COCOON_TRY(unmount_in_guest(ports, vm, *disk));
  undo.add("plug the disk in again", [&ports, &backend, vm, path]() -> Result<void> {
    auto again = COCOON_TRY(LiveVm::open(ports, vm));
    if (!again) return {};
    return backend.plug_disk(as_host_can(ports, vm), path, again->vmm(),
                             deadline_in(kDiskCallLimit));
  });
  COCOON_TRY(backend.unplug_disk(vm, path, live->vmm(), deadline_in(kUnplugLimit)));
  sys::side_effect("unplug disk");
  return {};
}

Result<void> link_kept(const Ports& ports, const model::Vm& vm, const DetachPhase& what,
                       Rollback& undo) {
  if (what.keep.empty()) return {};
  fs::path file = vm_dir(ports, vm) / what.path;
  undo.add("give the file back", [&ports, vm, what] { return give_back(ports, vm, what); });
  COCOON_TRY(take_over(file));
  undo.add("remove the link", [&ports, vm, what] { return unlink_kept(ports, vm, what); });
  return sys::hard_link(file, what.keep);
}

Result<model::Vm> detach(Ports& ports, const vmm::Backend& backend, const model::Vm& vm,
                         const DetachPhase& what) {
  model::Vm after = COCOON_TRY(without_disk(backend, vm, what.path));
  Rollback undo;
  undo.add("clear the op", [&ports, id = vm.id]() -> Result<void> {
    COCOON_TRY(change_row(ports, id, [](model::Vm& row) { row.op.reset(); }));
    return {};
  });
  COCOON_TRY(change_row(ports, vm.id,
                        [&](model::Vm& row) { row.op = op_of(kDiskDetach, phase_of(what)); }));
  COCOON_TRY(unplug(ports, backend, vm, what.path, undo));
  COCOON_TRY(link_kept(ports, vm, what, undo));
  COCOON_TRY(sys::check_cancelled());
  sys::CancelShield shield;  // from here on it only goes forward
  COCOON_TRY(change_row(
      ports, vm.id,
      [&after](model::Vm& row) {
        row.disks = after.disks;
        row.device_plan = after.device_plan;
      },
      true));
  undo.commit();
  COCOON_TRY(finish_detach(ports, vm, what));
  return change_row(ports, vm.id, [](model::Vm& row) {
    row.op.reset();
    row.updated_at = utc_now();
  });
}

}  // namespace

DetachPhase parse_detach_phase(const std::string& phase) {
  auto arrow = phase.find(kArrow);
  if (arrow == std::string::npos) return {phase, {}};
  return {phase.substr(0, arrow), phase.substr(arrow + kArrow.size())};
}

Result<void> unlink_kept(const Ports& ports, const model::Vm& vm, const DetachPhase& what) {
  if (what.keep.empty() || !is_same_file(vm_dir(ports, vm) / what.path, what.keep)) return {};
  return sys::remove_file(what.keep);
}

Result<void> finish_detach(const Ports& ports, const model::Vm& vm, const DetachPhase& what) {
  COCOON_TRY(sys::remove_file(vm_dir(ports, vm) / what.path));
  sys::side_effect("remove data disk");
  return {};
}

Result<void> give_back(const Ports& ports, const model::Vm& vm, const DetachPhase& what) {
  fs::path file = vm_dir(ports, vm) / what.path;
  if (what.keep.empty() || !sys::exists(file)) return {};
  // Whatever number of names it has: in the VM's directory there are only the VM's own disks.
  sys::UniqueFd fd = COCOON_TRY(sys::open_file(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (fchown(fd.get(), vm.uid, vm.uid) == 0 && fchmod(fd.get(), 0600) == 0) return {};
  return fail_errno(fmt::format("give {} back", file.native()));
}

Result<model::Vm> detach_disk(Ports& ports, const std::string& id, const std::string& name,
                              const DetachOptions& options) {
  auto lock = COCOON_TRY(lock_vm(ports, id, kDiskDetach));
  model::Vm vm = COCOON_TRY(settle_locked(ports, id));
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  model::Disk disk = COCOON_TRY(find_disk(vm, name), "vm \"{}\"", vm.config.name);
  if (disk.role != model::DiskRole::kData) {
    return fail(ErrorKind::kInvalid,
                "vm \"{}\": disk \"{}\" is the root disk, without which there "
                "is no VM",
                vm.config.name, name);
  }
  COCOON_TRY(check_hotplug(*backend, vm), "detach disk \"{}\" of vm \"{}\"", name, vm.config.name);
  if (vm.state == model::VmState::kRunning) {
    COCOON_TRY(backend->check_unplug(vm, disk.path), "detach disk \"{}\" of vm \"{}\"", name,
               vm.config.name);
  }
  COCOON_TRY(check_keep(vm_dir(ports, vm) / disk.path, options.keep));
  return COCOON_TRY(detach(ports, *backend, vm, {disk.path, options.keep}),
                    "detach disk \"{}\" of vm \"{}\"", name, vm.config.name);
}

}  // namespace cocoon::engine
