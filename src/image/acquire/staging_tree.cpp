// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/staging_tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "sys/cancel.h"

namespace cocoon::image {
namespace {

// Deeper trees are refused: removing a tree takes descriptors for each level. Symbolic links can
// stack legal paths on top of each other, so the depth in the tree counts, not that of a path.
constexpr int kDeepest = 200;
// mkfs.erofs builds names in PATH_MAX buffers, our own directory in front of them.
constexpr int kLongestInTree = 3500;

// A directory of the tree as a layer's path means it: links are followed, but never out of it.
int open_in_root(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  const char* name = path.empty() ? "." : path.c_str();
  return static_cast<int>(syscall(SYS_openat2, root, name, &how, sizeof how));
}

Result<ino_t> inode_of(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return fail_errno("stat");
  return info.st_ino;
}

}  // namespace

StagingTree::StagingTree(sys::fs::path path, sys::UniqueFd root, LayerLimits limits)
    : path_(std::move(path)), root_(std::move(root)), limits_(limits) {}

Result<void> StagingTree::check_host(const sys::fs::path& dir) {
  if (geteuid() != 0) {
    return fail(ErrorKind::kUnsupported, "importing images takes root: owners and device nodes");
  }
  sys::UniqueFd fd = COCOON_TRY(sys::open_dir(dir));
  constexpr const char* kProbe = ".probe";
  // overlayfs refuses both; a user namespace refuses the second.
  bool good = mknodat(fd.get(), kProbe, S_IFCHR, makedev(0, 0)) == 0;
  if (good) unlinkat(fd.get(), kProbe, 0);
  good = good && fsetxattr(fd.get(), "trusted.cocoon", "y", 1, 0) == 0;
  if (good) fremovexattr(fd.get(), "trusted.cocoon");
  if (good) return {};
  return fail(
      ErrorKind::kUnsupported,
      "{} cannot hold whiteouts and trusted.* attributes (root on ext4, xfs, btrfs or tmpfs "
      "is needed): {}",
      dir.native(), std::strerror(errno));
}

Result<StagingTree> StagingTree::create(const sys::fs::path& dir, LayerLimits limits) {
  if (mkdir(dir.c_str(), 0755) != 0) return fail_errno(fmt::format("make {}", dir.native()));
  sys::UniqueFd root = COCOON_TRY(sys::open_dir(dir));
  // The umask may have taken rights away, which would show in the guest.
  if (fchmod(root.get(), 0755) != 0) return fail_errno(fmt::format("chmod {}", dir.native()));
  ino_t inode = COCOON_TRY(inode_of(root.get()));
  StagingTree tree(dir, std::move(root), limits);
  tree.directories_[inode] = Directory{};
  return tree;
}

Result<void> StagingTree::count_entry(const TarEntry& entry) {
  COCOON_TRY(sys::check_cancelled());
  if (++entries_ > limits_.entries) {
    return fail(ErrorKind::kCorrupt, "more than {} entries", limits_.entries);
  }
  if (entry.type != TarEntry::Type::kFile) return {};
  if (entry.size < 0 || entry.size > limits_.bytes - bytes_) {
    return fail(ErrorKind::kCorrupt, "its files have more than the limit of {} bytes",
                limits_.bytes);
  }
  bytes_ += entry.size;
  return {};
}

Result<StagingTree::Parent> StagingTree::open_parent(const std::string& parent, bool create) {
  sys::UniqueFd fd(open_in_root(root_.get(), parent));
  if (fd.valid()) {
    ino_t inode = COCOON_TRY(inode_of(fd.get()));
    return Parent{std::move(fd), inode};
  }
  if (errno == ENOENT && create) return make_parents(parent);
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV) {
    return fail(ErrorKind::kCorrupt, "\"{}\" is not a directory", parent);
  }
  return fail_errno(fmt::format("open {}", parent));
}

// Directories that the archive only implies: 0755, root's, time 0.
Result<StagingTree::Parent> StagingTree::make_parents(const std::string& parent) {
  Parent at = COCOON_TRY(open_parent("", false));
  std::string path;
  for (std::string_view component : split(parent, '/')) {
    path += path.empty() ? "" : "/";
    path += component;
    sys::UniqueFd fd(open_in_root(root_.get(), path));
    if (!fd.valid() && errno == ENOENT) {
      // EEXIST here: a link that leads nowhere stands in the way.
      COCOON_TRY(make_directory(at, std::string(component)), "make \"{}\"", path);
      if (fchmodat(at.fd.get(), std::string(component).c_str(), 0755, 0) != 0) {
        return fail_errno(fmt::format("chmod {}", path));
      }
    }
    at = COCOON_TRY(open_parent(path, false));
  }
  return at;
}

Result<ino_t> StagingTree::make_directory(const Parent& parent, const std::string& name) {
  const Directory above = directories_[parent.inode];
  Directory made;
  made.depth = static_cast<std::uint16_t>(above.depth + 1);
  made.path_length = static_cast<std::uint16_t>(above.path_length + 1 + name.size());
  if (made.depth > kDeepest || made.path_length > kLongestInTree) {
    return fail(ErrorKind::kCorrupt, "directories deeper than {} levels or {} bytes", kDeepest,
                kLongestInTree);
  }
  if (mkdirat(parent.fd.get(), name.c_str(), 0700) != 0) {
    if (errno == EEXIST) return fail(ErrorKind::kCorrupt, "\"{}\" is not a directory", name);
    return fail_errno(fmt::format("make directory {}", name));
  }
  struct stat info {};
  if (fstatat(parent.fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail_errno(fmt::format("stat {}", name));
  }
  directories_[info.st_ino] = made;
  whiteouts_.erase(info.st_ino);
  return info.st_ino;
}

// Takes away what stands at the name. A directory stays when the new object is one too.
Result<void> StagingTree::forget_object(const Parent& parent, const std::string& name,
                                        bool keep_directory) {
  struct stat info {};
  if (fstatat(parent.fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(fmt::format("stat {}", name));
  }
  if (!S_ISDIR(info.st_mode)) {
    if (unlinkat(parent.fd.get(), name.c_str(), 0) == 0) return {};
    return fail_errno(fmt::format("remove {}", name));
  }
  if (keep_directory) return {};
  return sys::remove_tree(fmt::format("/proc/self/fd/{}/{}", parent.fd.get(), name));
}

Result<void> StagingTree::record_marker(const MarkedPath& marked) {
  if (ignore_markers_ || marked.marker == Marker::kAufs) return {};
  Parent parent = COCOON_TRY(open_parent(marked.path.parent, true));
  if (marked.marker == Marker::kOpaque) {
    directories_[parent.inode].opaque = true;
  } else {
    whiteouts_[parent.inode].push_back(marked.path.name);
  }
  return {};
}

Result<void> StagingTree::apply_marker(const TarEntry& entry) {
  COCOON_TRY(sys::check_cancelled());
  auto path = COCOON_TRY(parse_layer_path(entry.path));
  MarkedPath marked = COCOON_TRY(classify(std::move(path)));
  if (is_whiteout_device(entry)) marked.marker = Marker::kWhiteout;
  if (marked.marker == Marker::kNone || marked.marker == Marker::kAufs) return {};
  auto parent = open_parent(marked.path.parent, false);
  // Hiding something in a directory that the layers below do not have is fine.
  if (!parent && parent.error().kind == ErrorKind::kCorrupt) return {};
  if (!parent) return pass(std::move(parent).error());
  if (marked.marker == Marker::kWhiteout) return forget_object(*parent, marked.path.name, false);
  auto names = COCOON_TRY(sys::list_dir(fmt::format("/proc/self/fd/{}", parent->fd.get())));
  for (const std::string& name : names) COCOON_TRY(forget_object(*parent, name, false));
  return {};
}

Result<void> StagingTree::add(const TarEntry& entry, TarReader& content) {
  COCOON_TRY(count_entry(entry));
  auto path = COCOON_TRY(parse_layer_path(entry.path));
  MarkedPath marked = COCOON_TRY(classify(std::move(path)));
  if (is_whiteout_device(entry) && !marked.path.name.empty()) marked.marker = Marker::kWhiteout;
  if (marked.marker != Marker::kNone) {
    COCOON_TRY(record_marker(marked), "entry \"{}\"", entry.path);
    return {};
  }
  if (marked.path.name.empty()) return set_root_attributes(entry);
  COCOON_TRY(add_object(entry, marked.path, content), "entry \"{}\"", entry.path);
  return {};
}

}  // namespace cocoon::image
