// SPDX-License-Identifier: Apache-2.0
#include "guest/switch_root.h"

#include <dirent.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <memory>
#include <string_view>

namespace cocoon::guest {
namespace {

constexpr int kMaxDepth = 32;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

void remove_below(int directory, dev_t device, int depth) {
  const int own = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, CloseDir> dir(own >= 0 ? ::fdopendir(own) : nullptr);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    struct stat status {};
    if (name == "." || name == ".." ||
        ::fstatat(own, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || status.st_dev != device)
      continue;
    if (!S_ISDIR(status.st_mode)) {
      ::unlinkat(own, entry->d_name, 0);
      continue;
    }
    const UniqueFd child(
        ::openat(own, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (child && depth < kMaxDepth) remove_below(child.get(), device, depth + 1);
    // Fails for the mount points of layers and COW and for what leads to them, as it should.
    ::unlinkat(own, entry->d_name, AT_REMOVEDIR);
  }
}

}  // namespace

Result<void> remove_ram_tree(int directory) {
  struct statfs filesystem {};
  struct stat status {};
  if (::fstatfs(directory, &filesystem) != 0 || ::fstat(directory, &status) != 0)
    return fail_errno("initramfs");
  if (filesystem.f_type != RAMFS_MAGIC && filesystem.f_type != TMPFS_MAGIC)
    return fail("initramfs", "not in memory: left alone");
  remove_below(directory, status.st_dev, 0);
  return {};
}

Result<void> switch_root(const RootDir& root, const UniqueFd& initramfs) {
  COCOON_GUEST_TRY(remove_ram_tree(initramfs.get()));
  if (::fchdir(root.fd()) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 ||
      ::chroot(".") != 0 || ::chdir("/") != 0)
    return fail_errno("switch root");
  return {};
}

}  // namespace cocoon::guest
