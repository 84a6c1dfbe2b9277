// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "disk/disk_image.h"
#include "disk/raw_disk.h"
#include "engine/boot_json.h"
#include "engine/cgroups.h"
#include "engine/uids.h"
#include "engine/vm_view.h"
#include "model/kernel.h"
#include "store/kernel_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"
#include "vmm/launch.h"
#include "vmm/saved.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

Result<dev_t> device_of(const fs::path& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return fail_errno(fmt::format("stat {}", path.native()));
  return info.st_dev;
}

Result<void> make_dir(const fs::path& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(fmt::format("make directory {}", path.native()));
  }
  sys::side_effect("make VM directory");
  return {};
}

// Appends the content of `from` to `to`; inside the kernel where the file system can.
Result<std::int64_t> copy_file(int from, int to) {
  std::int64_t total = 0;
  while (true) {
    ssize_t moved = copy_file_range(from, nullptr, to, nullptr, 1 << 30, 0);
    if (moved == 0) return total;
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) return fail_errno("copy");
    total += moved;
  }
}

// The directory on the tmpfs, and the admission check (design §7).
Result<void> prepare_memory_dir(const Ports& ports, const fs::path& dir, std::int64_t bytes) {
  COCOON_TRY(sys::make_dirs(dir, 0711));
  // The VMM opens its file by its path: others may pass, not look.
  COCOON_TRY(sys::set_owner(dir, 0, 0, 0711));
  auto room = COCOON_TRY(sys::free_bytes(dir));
  if (room >= bytes) return {};
  return fail(ErrorKind::kUnsupported,
              "guest memory of {} MiB does not fit on {} ({} MiB free); use less memory or "
              "--memory-backing file",
              bytes >> 20, ports.config.memory_dir.native(), room >> 20);
}

Result<std::string> modules_version(const Ports& ports, const model::Vm& vm) {
  auto kernel = COCOON_TRY(store::get_kernel(ports.db, vm.boot.kernel_id));
  if (!kernel) return fail(ErrorKind::kNotFound, "kernel object {} is gone", vm.boot.kernel_id);
  return kernel->version;
}

}  // namespace

Result<void> check_layout(const Ports& ports) {
  COCOON_TRY(sys::make_dirs(ports.paths.root(), 0750), "prepare the root directory");
  COCOON_TRY(sys::make_dirs(ports.paths.run(), 0750), "prepare the run directory");
  if (COCOON_TRY(device_of(ports.paths.root())) != COCOON_TRY(device_of(ports.paths.run()))) {
    return fail(ErrorKind::kUnsupported,
                "root directory {} and run directory {} are on different file systems; disks are "
                "shared by hard links, so they must be on one",
                ports.paths.root().native(), ports.paths.run().native());
  }
  return {};
}

Result<void> make_vm_dirs(const Ports& ports, const model::Vm& vm) {
  fs::path dir = vm_dir(ports, vm);
  COCOON_TRY(sys::make_dirs(dir.parent_path(), 0750));
  COCOON_TRY(sys::make_dirs(ports.paths.exits(), 0700));
  COCOON_TRY(make_dir(dir));
  COCOON_TRY(sys::set_owner(dir, 0, vm.uid, 0750));
  COCOON_TRY(make_dir(dir / vmm::kSocketDir));
  COCOON_TRY(sys::set_owner(dir / vmm::kSocketDir, vm.uid, vm.uid, 0700));
  COCOON_TRY(sys::make_dirs(vm_log_dir(ports, vm), 0700));
  return {};
}

Result<void> link_into_vm(const Ports& ports, const model::Vm& vm, const fs::path& file,
                          const std::string& name) {
  return sys::hard_link(file, vm_dir(ports, vm) / name);
}

Result<void> make_root_disk(const Ports& ports, const model::Vm& vm, int lock_fd) {
  for (const model::Disk& disk : vm.disks) {
    if (disk.role != model::DiskRole::kCow) continue;
    fs::path path = vm_dir(ports, vm) / disk.path;
    auto made = disk.backing.empty()
                    ? disk::make_raw_disk({path, vm.config.storage, "ext4", lock_fd})
                    : disk::make_overlay(path.parent_path(), disk.path, disk.backing,
                                         vm.config.storage, lock_fd);
    if (!made) return pass(std::move(made).error(), "make the root disk");
    return sys::set_owner(path, vm.uid, vm.uid, 0600);
  }
  return fail(ErrorKind::kInternal, "the VM has no root disk");
}

Result<void> make_data_disks(const Ports& ports, const model::Vm& vm,
                             const std::vector<model::DataDiskSpec>& specs, int lock_fd) {
  for (const model::DataDiskSpec& spec : specs) {
    COCOON_TRY(sys::check_cancelled());
    fs::path path = vm_dir(ports, vm) / model::data_disk(spec).path;
    COCOON_TRY(disk::make_raw_disk({path, spec.size, spec.fstype, lock_fd}),
               "make data disk \"{}\"", spec.name);
    COCOON_TRY(sys::set_owner(path, vm.uid, vm.uid, 0600));
  }
  return {};
}

model::Vm as_host_can(const Ports& ports, const model::Vm& vm) {
  model::Vm out = vm;
  for (const model::Disk& disk : vm.disks) {
    if (disk.role != model::DiskRole::kCow) continue;
    out.config.no_direct_io |= !sys::supports_direct_io(vm_dir(ports, vm) / disk.path);
  }
  return out;
}

Result<void> make_initrd(const Ports& ports, const model::Vm& vm, bool ends_by_reboot) {
  fs::path target = vm_dir(ports, vm) / vmm::kInitrdFile;
  fs::path temp = vm_dir(ports, vm) / ".initrd.tmp";
  std::string version = COCOON_TRY(modules_version(ports, vm), "make the initrd");
  fs::path source = ports.paths.kernel(vm.boot.kernel_id) / model::kInitramfsFile;
  COCOON_TRY(sys::remove_file(temp));
  {
    sys::UniqueFd from = COCOON_TRY(sys::open_file(source, O_RDONLY), "make the initrd");
    sys::UniqueFd to = COCOON_TRY(sys::open_file(temp, O_WRONLY | O_CREAT | O_EXCL, 0440));
    auto copied = COCOON_TRY(copy_file(from.get(), to.get()), "make the initrd");
    // An uncompressed archive after another must start at a multiple of 4 bytes.
    std::string tail(static_cast<std::size_t>((4 - copied % 4) % 4), '\0');
    tail += render_boot_archive(render_boot_json(vm, version, ports.config.dns, ends_by_reboot));
    COCOON_TRY(sys::write_all(to.get(), tail), "make the initrd");
  }
  sys::side_effect("write initrd");
  COCOON_TRY(sys::set_owner(temp, 0, vm.uid, 0440));
  return sys::rename_path(temp, target);
}

Result<fs::path> memory_dir(const Ports& ports) {
  return ports.config.memory_dir /
         fmt::format("cocoon-{}", COCOON_TRY(install_id(ports.db), "find the memory directory"));
}

Result<std::vector<fs::path>> memory_files(const Ports& ports, const model::Vm& vm) {
  fs::path in_vm = vm_dir(ports, vm) / vmm::kMemoryFile;
  if (vm.memory_backing == "file") return std::vector<fs::path>{in_vm};
  return std::vector<fs::path>{COCOON_TRY(memory_dir(ports)) / vm.id, in_vm};
}

Result<void> make_memory(const Ports& ports, const model::Vm& vm, std::int64_t bytes) {
  COCOON_TRY(remove_memory(ports, vm));
  fs::path file = COCOON_TRY(memory_files(ports, vm))[0];
  if (vm.memory_backing != "file") COCOON_TRY(prepare_memory_dir(ports, file.parent_path(), bytes));
  COCOON_TRY(sys::create_sparse_file(file, bytes, 0600), "make the memory file").reset();
  COCOON_TRY(sys::set_owner(file, vm.uid, vm.uid, 0600));
  if (vm.memory_backing == "file") return {};
  fs::path link = vm_dir(ports, vm) / vmm::kMemoryFile;
  if (symlink(file.c_str(), link.c_str()) != 0) return fail_errno("link the memory file");
  sys::side_effect("link memory");
  return {};
}

Result<void> remove_memory(const Ports& ports, const model::Vm& vm) {
  for (const fs::path& file : COCOON_TRY(memory_files(ports, vm))) {
    COCOON_TRY(sys::remove_file(file));
  }
  for (std::string_view name : vmm::kLoadFiles) {
    COCOON_TRY(sys::remove_file(vm_dir(ports, vm) / name));
  }
  sys::side_effect("remove memory");
  return {};
}

Result<void> remove_vm_files(const Ports& ports, const model::Vm& vm) {
  COCOON_TRY(remove_memory(ports, vm));
  COCOON_TRY(sys::remove_tree(vm_dir(ports, vm)));
  COCOON_TRY(sys::remove_tree(vm_log_dir(ports, vm)));
  COCOON_TRY(sys::remove_file(ports.paths.exit_file(vm.id)));
  return remove_vm_cgroup(ports, vm.id);
}

}  // namespace cocoon::engine
