// SPDX-License-Identifier: Apache-2.0
// The markers of a layer become overlayfs' own marks (spec 02 §13.3), after the last entry, so that
// the order of the archive does not matter.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "image/acquire/staging_tree.h"
#include "sys/cancel.h"

namespace cocoon::image {
namespace {

Result<void> set_mark(int fd, const char* name, std::string_view value) {
  if (fsetxattr(fd, name, value.data(), value.size(), 0) != 0) {
    return fail_errno(fmt::format("set {}", name));
  }
  return {};
}

Result<sys::UniqueFd> open_child(int fd, const std::string& name) {
  sys::UniqueFd child(openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!child.valid() && errno != ENOTDIR && errno != ELOOP) {
    return fail_errno(fmt::format("open {}", name));
  }
  return child;
}

}  // namespace

// Whiteouts of one directory; returns how many stand in it now. A name that this layer has itself
// needs none: a file shadows by being there, a directory by being opaque.
Result<int> StagingTree::make_whiteouts(int fd, ino_t inode, bool covered) {
  auto found = whiteouts_.find(inode);
  if (found == whiteouts_.end()) return 0;
  int made = 0;
  for (const std::string& name : found->second) {
    struct stat info {};
    if (fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
      if (S_ISDIR(info.st_mode)) directories_[info.st_ino].opaque = true;
      continue;
    }
    if (errno != ENOENT) return fail_errno(fmt::format("stat {}", name));
    if (covered) continue;  // nothing below can show through anyway
    if (mknodat(fd, name.c_str(), S_IFCHR, makedev(0, 0)) != 0) {
      return fail_errno(fmt::format("make the whiteout of {}", name));
    }
    timespec zero[2] = {};
    if (utimensat(fd, name.c_str(), zero, AT_SYMLINK_NOFOLLOW) != 0) {
      return fail_errno(fmt::format("set the time of {}", name));
    }
    ++made;
  }
  return made;
}

Result<void> StagingTree::finish_directory(int fd, bool covered) {
  COCOON_TRY(sys::check_cancelled());
  struct stat info {};
  if (fstat(fd, &info) != 0) return fail_errno("stat");
  const Directory state = directories_[info.st_ino];
  covered = covered || state.opaque;
  int whiteouts = COCOON_TRY(make_whiteouts(fd, info.st_ino, covered));
  if (state.opaque && fd != root_.get()) {
    COCOON_TRY(set_mark(fd, "trusted.overlay.opaque", "y"));
  }
  // A directory that is in one layer only is read by the kernel as it is, and its whiteouts would
  // appear as undeletable files; with this mark it filters them (spec 02 §13.3).
  if (whiteouts > 0) COCOON_TRY(set_mark(fd, "trusted.overlay.origin", ""));
  auto names = COCOON_TRY(sys::list_dir(fmt::format("/proc/self/fd/{}", fd)));
  for (const std::string& name : names) {
    struct stat child_info {};
    if (fstatat(fd, name.c_str(), &child_info, AT_SYMLINK_NOFOLLOW) != 0) {
      return fail_errno(fmt::format("stat {}", name));
    }
    if (!S_ISDIR(child_info.st_mode)) continue;
    sys::UniqueFd child = COCOON_TRY(open_child(fd, name));
    if (child.valid()) COCOON_TRY(finish_directory(child.get(), covered), "finish \"{}\"", name);
  }
  timespec times[2] = {state.mtime, state.mtime};
  if (futimens(fd, times) != 0) return fail_errno("set the time of a directory");
  return {};
}

Result<void> StagingTree::finish() {
  struct stat info {};
  if (fstat(root_.get(), &info) != 0) return fail_errno("stat");
  // overlayfs ignores the mark on a layer's root: such a layer is simply the lowest one.
  root_opaque_ = directories_[info.st_ino].opaque;
  return finish_directory(root_.get(), false);
}

}  // namespace cocoon::image
