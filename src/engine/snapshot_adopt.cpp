// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_adopt.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/text.h"
#include "disk/file_copy.h"
#include "store/blob_rows.h"
#include "store/kernel_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;
using Home = snapshot::SharedSource::Home;

// What another host made is known here by its content alone: its own name for it proves nothing.
constexpr std::string_view kAdoptedPrefix = "file-";
constexpr std::array<std::string_view, 5> kBlobKinds{"layer", "merged", "modules", "boot", "disk"};
constexpr Milliseconds kKernelWait{60'000};

std::int64_t size_of(const fs::path& file) {
  struct stat info {};
  return lstat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : -1;
}

// Is the file these very bytes?
Result<bool> is_content(const fs::path& file, const model::Member& member) {
  if (size_of(file) != member.size) return false;
  return COCOON_TRY(image::sha256_file(file)) == member.sha256;
}

std::string entry_of(std::string_view file) {
  return std::string(snapshot::kKernelPrefix) + std::string(file);
}

// The disk that the shared member belongs to, if it is a disk's.
model::Disk* disk_of(model::Snapshot& snapshot, const std::string& name) {
  for (model::Disk& disk : snapshot.vm.disks) {
    if (disk.path == name || disk.backing == name) return &disk;
  }
  return nullptr;
}

// By its content and by all that is said of it: what another archive says of the same kernel must
// not decide how this one boots.
std::string adopted_kernel_id(model::Kernel kernel, const std::string& vmlinux) {
  kernel.id.clear();
  kernel.created_at.clear();
  return image::sha256_hex(
      fmt::format("cocoon kernel from elsewhere 2\nvmlinux {}\n{}\n", vmlinux,
                  model::to_stored_json(kernel).dump(-1, ' ', false,
                                                     nlohmann::json::error_handler_t::replace)));
}

Result<const snapshot::SharedSource*> source_of(const snapshot::Sidecar& sidecar,
                                                const model::Member& member) {
  auto found = sidecar.shared.find(member.name);
  if (found == sidecar.shared.end() || !is_sha256_hex(member.sha256)) {
    return fail(ErrorKind::kCorrupt, "the archive does not say what member {} is", member.name);
  }
  return &found->second;
}

}  // namespace

bool SharedMembers::is_carried(const std::string& name) const { return files_->contains(name); }

Result<void> SharedMembers::drop_carried(const std::string& name) {
  if (files_->erase(name) == 0) return {};
  return sys::remove_file(part_ / name);
}

Result<void> SharedMembers::settle_member(snapshot::Sidecar& sidecar, const model::Member& member,
                                          const snapshot::SharedSource& source) {
  if (source.home == Home::kBlob) return settle_blob(sidecar, member, source);
  if (source.home == Home::kKernel) return settle_kernel(sidecar, member, source);
  return settle_firmware(sidecar.snapshot, member);
}

Result<void> SharedMembers::settle(snapshot::Sidecar& sidecar,
                                   std::map<std::string, snapshot::UnpackedFile>& files) {
  files_ = &files;
  // Blobs before the kernel object, which names one.
  for (bool blobs : {true, false}) {
    for (const model::Member& member : sidecar.snapshot.members) {
      if (member.kind != model::MemberKind::kShared) continue;
      const snapshot::SharedSource* source = COCOON_TRY(source_of(sidecar, member));
      if ((source->home == Home::kBlob) != blobs) continue;
      COCOON_TRY(sys::check_cancelled());
      COCOON_TRY(settle_member(sidecar, member, *source), "member {}", member.name);
    }
  }
  for (std::string_view file : {model::kKernelFile, model::kInitramfsFile, model::kVmlinuxFile}) {
    COCOON_TRY(drop_carried(entry_of(file)));
  }
  return {};
}

// The blob of that ID if it is here with these bytes.
Result<std::optional<image::BlobLease>> SharedMembers::local_blob(const std::string& id,
                                                                  const std::string& sha256) {
  auto lease = COCOON_TRY(store_.find(id));
  if (!lease) return std::optional<image::BlobLease>();
  std::string local = lease->blob.sha256;
  // Disks have none in their row.
  if (local.empty()) local = COCOON_TRY(image::sha256_file(store_.file(lease->blob)));
  if (local == sha256) return lease;
  return std::optional<image::BlobLease>();
}

Result<std::optional<fs::path>> SharedMembers::offered_file(const model::Member& member) const {
  if (offered_.empty()) return std::optional<fs::path>();
  for (const std::string& name : COCOON_TRY(sys::list_dir(offered_))) {
    fs::path file = offered_ / name;
    if (COCOON_TRY(is_content(file, member))) return std::optional<fs::path>(std::move(file));
  }
  return std::optional<fs::path>();
}

// The same bytes from elsewhere, as a blob of this store.
Result<std::optional<image::BlobLease>> SharedMembers::adopted_blob(const model::Member& member,
                                                                    const std::string& kind) {
  std::string id = std::string(kAdoptedPrefix) + member.sha256;
  auto there = COCOON_TRY(local_blob(id, member.sha256));
  if (there) return there;
  bool carried = is_carried(member.name);
  std::optional<fs::path> offered;
  if (!carried) offered = COCOON_TRY(offered_file(member), "look in {}", offered_.native());
  if (!carried && !offered) return std::optional<image::BlobLease>();
  model::Blob blob;
  blob.id = id;
  blob.kind = kind;
  auto make = [&](const image::BlobStore::Order& order, model::Blob& made) -> Result<void> {
    if (carried) {
      COCOON_TRY(sys::rename_path(part_ / member.name, order.file));
      files_->erase(member.name);
    } else {
      sys::UniqueFd from = COCOON_TRY(sys::open_file(*offered, O_RDONLY | O_NOFOLLOW));
      sys::UniqueFd to =
          COCOON_TRY(sys::open_file(order.file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
      COCOON_TRY(disk::copy_file(from.get(), to.get()), "copy {}", offered->native());
    }
    sys::side_effect("take over blob");
    // It counts what it is now, not what it was when it was looked at.
    made.sha256 = COCOON_TRY(image::sha256_file(order.file));
    if (made.sha256 == member.sha256) return {};
    return fail(ErrorKind::kCorrupt, "it is not what the sidecar says");
  };
  auto lease = COCOON_TRY(store_.ensure(std::move(blob), part_, make));
  return std::optional<image::BlobLease>(std::move(lease));
}

Result<void> SharedMembers::settle_blob(snapshot::Sidecar& sidecar, const model::Member& member,
                                        const snapshot::SharedSource& source) {
  model::Disk* disk = disk_of(sidecar.snapshot, member.name);
  bool known = std::find(kBlobKinds.begin(), kBlobKinds.end(), source.kind) != kBlobKinds.end();
  const model::BootConfig& boot = sidecar.snapshot.vm.boot;
  bool of_object = boot.boot_kit && boot.kernel == member.name;
  if (!known || of_object || (disk != nullptr && disk->blob != source.id)) {
    return fail(ErrorKind::kCorrupt, "the archive does not say what it is");
  }
  auto lease = COCOON_TRY(local_blob(source.id, member.sha256));
  if (!lease) lease = COCOON_TRY(adopted_blob(member, source.kind));
  if (!lease && COCOON_TRY(store::get_blob(ports_.db, source.id))) {
    return fail(ErrorKind::kConflict,
                "blob {} has other bytes here, and a guest's memory is only right on the ones that "
                "it was saved with: export with --with-image, or offer them with --blobs",
                source.id);
  }
  if (!lease) {
    return fail(
        ErrorKind::kNotFound,
        "blob {} is not here: import image \"{}\" first, export with --with-image, or offer "
        "it with --blobs",
        source.id, sidecar.snapshot.vm.config.image);
  }
  COCOON_TRY(drop_carried(member.name));
  if (disk != nullptr) disk->blob = lease->blob.id;
  local_ids_[source.id] = lease->blob.id;
  links_.push_back({store_.file(lease->blob), member.name});
  blobs_.push_back(lease->blob.id);
  leases_.push_back(std::move(*lease));
  return {};
}

Result<bool> SharedMembers::is_local_kernel(const model::Member& member,
                                            const snapshot::SharedSource& source) {
  auto kernel = COCOON_TRY(store::get_kernel(ports_.db, source.id));
  if (!kernel) return false;
  return is_content(ports_.paths.kernel(source.id) / source.file, member);
}

Result<void> SharedMembers::settle_kernel(snapshot::Sidecar& sidecar, const model::Member& member,
                                          const snapshot::SharedSource& source) {
  model::BootConfig& boot = sidecar.snapshot.vm.boot;
  bool known = source.file == model::kKernelFile || source.file == model::kVmlinuxFile;
  if (!known || !boot.boot_kit || boot.kernel != member.name || boot.kernel_id != source.id) {
    return fail(ErrorKind::kCorrupt, "the archive does not say what it is");
  }
  if (!COCOON_TRY(is_local_kernel(member, source))) {
    if (!sidecar.kernel_object || sidecar.kernel_object->id != source.id) {
      return fail(
          ErrorKind::kNotFound,
          "kernel object {} is not here: make it with `cocoon kernel import`, or export with "
          "--with-image",
          source.id);
    }
    boot.kernel_id = COCOON_TRY(adopt_kernel(*sidecar.kernel_object), "kernel object");
  }
  fs::path file = ports_.paths.kernel(boot.kernel_id) / source.file;
  if (!COCOON_TRY(is_content(file, member))) {
    return fail(ErrorKind::kCorrupt, "it is not what the sidecar says");
  }
  links_.push_back({std::move(file), member.name});
  return {};
}

// A carried kernel object under a name of its own, made of what it holds.
Result<std::string> SharedMembers::adopt_kernel(const model::Kernel& object) {
  auto digest = [&](std::string_view file) -> Result<std::string> {
    if (!is_carried(entry_of(file))) return std::string();
    return image::sha256_file(part_ / entry_of(file));
  };
  model::Kernel kernel = object;
  std::string vmlinux = COCOON_TRY(digest(model::kVmlinuxFile));
  if (COCOON_TRY(digest(model::kKernelFile)) != object.kernel_sha256 ||
      COCOON_TRY(digest(model::kInitramfsFile)) != object.initramfs_sha256 ||
      vmlinux.empty() != (object.vmlinux_size == 0)) {
    return fail(ErrorKind::kCorrupt, "its files are not what the sidecar says");
  }
  if (!object.modules_blob.empty()) {
    auto modules = local_ids_.find(object.modules_blob);
    if (modules == local_ids_.end()) return fail(ErrorKind::kCorrupt, "its modules are missing");
    kernel.modules_blob = modules->second;
  }
  kernel.id = adopted_kernel_id(kernel, vmlinux);
  auto lock_path = ports_.paths.lock("kernel", kernel.id);
  COCOON_TRY(sys::make_dirs(lock_path.parent_path(), 0700));
  kernel_lock_ = COCOON_TRY(sys::FileLock::take(lock_path, sys::FileLock::Mode::kExclusive,
                                                "snapshot import", kKernelWait));
  if (!COCOON_TRY(store::get_kernel(ports_.db, kernel.id))) COCOON_TRY(make_kernel(kernel));
  return kernel.id;
}

// Rows before files, as `kernel import` does it.
Result<void> SharedMembers::make_kernel(model::Kernel& kernel) {
  fs::path dir = part_ / kernel.id;
  COCOON_TRY(sys::make_dirs(dir, 0700));
  auto place = [&](std::string_view file) -> Result<std::int64_t> {
    auto found = files_->find(entry_of(file));
    if (found == files_->end()) return std::int64_t{0};
    COCOON_TRY(sys::rename_path(part_ / found->first, dir / file));
    COCOON_TRY(sys::set_owner(dir / file, 0, 0, 0444));
    std::int64_t size = found->second.size;
    files_->erase(found);
    return size;
  };
  kernel.kernel_size = COCOON_TRY(place(model::kKernelFile));
  kernel.initramfs_size = COCOON_TRY(place(model::kInitramfsFile));
  kernel.vmlinux_size = COCOON_TRY(place(model::kVmlinuxFile));
  COCOON_TRY(sys::sync_dir(dir));
  kernel.created_at = utc_now();
  made_kernel_ = kernel.id;
  COCOON_TRY(store::put_pending_kernel(ports_.db, kernel));
  sys::side_effect("reserve kernel");
  COCOON_TRY(sys::make_dirs(ports_.paths.kernels(), 0700));
  COCOON_TRY(sys::remove_tree(ports_.paths.kernel(kernel.id)));  // of a dead import
  COCOON_TRY(sys::rename_path(dir, ports_.paths.kernel(kernel.id)));
  COCOON_TRY(sys::sync_dir(ports_.paths.kernels()));
  sys::side_effect("publish kernel");
  return store::set_kernel_ready(ports_.db, kernel);
}

// Kept firmware is found by its content; else what is installed; else what the archive carries. The
// last two become files of the snapshot itself.
Result<void> SharedMembers::settle_firmware(const model::Snapshot& snapshot,
                                            const model::Member& member) {
  if (snapshot.vm.boot.firmware != member.name) {
    return fail(ErrorKind::kCorrupt, "the archive does not say what it is");
  }
  fs::path kept = ports_.paths.root() / "firmware";
  for (const std::string& name : COCOON_TRY(sys::list_dir(kept))) {
    if (!COCOON_TRY(is_content(kept / name, member))) continue;
    COCOON_TRY(drop_carried(member.name));
    links_.push_back({kept / name, member.name});
    return {};
  }
  if (files_->erase(member.name) > 0) {
    if (!COCOON_TRY(is_content(part_ / member.name, member))) {
      return fail(ErrorKind::kCorrupt, "it is not what the sidecar says");
    }
    return sys::set_owner(part_ / member.name, 0, 0, 0444);
  }
  auto backend = COCOON_TRY(vmm::make_backend(snapshot.vm.hypervisor, ports_.config));
  auto installed = backend->firmware();
  if (installed && COCOON_TRY(is_content(installed->code, member))) {
    constexpr std::size_t kMaxFirmware = std::size_t{64} << 20;
    std::string bytes = COCOON_TRY(sys::read_file(installed->code, kMaxFirmware));
    return sys::write_file_atomic(part_ / member.name, bytes, 0444);
  }
  return fail(ErrorKind::kNotFound,
              "this firmware is not installed here: install the version that the guest was saved "
              "with, or export with --with-image");
}

Result<void> SharedMembers::link() const {
  for (const Link& link : links_) COCOON_TRY(sys::hard_link(link.file, part_ / link.name));
  return {};
}

void SharedMembers::keep() {
  leases_.clear();
  store_.keep();
  made_kernel_.clear();
  if (kernel_lock_) kernel_lock_->unlink();
  kernel_lock_.reset();
}

void SharedMembers::undo() {
  sys::CancelShield shield;
  leases_.clear();
  if (!made_kernel_.empty()) {
    // The row goes first, and stays when another snapshot's row has come to rest on it.
    auto gone = store::delete_kernel(ports_.db, made_kernel_);
    if (gone) gone = sys::remove_tree(ports_.paths.kernel(made_kernel_));
    ignore(gone, "undo of a kernel; gc removes it");
  }
  if (kernel_lock_) kernel_lock_->unlink();
  store_.undo();
}

}  // namespace cocoon::engine
