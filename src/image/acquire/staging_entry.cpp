// SPDX-License-Identifier: Apache-2.0
// One entry of a layer becomes one object of the tree (spec 02 §13.4, "Per entry").
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "image/acquire/staging_tree.h"

namespace cocoon::image {
namespace {

// What every file system below can store: ext4 with 256-byte inodes ends in the year 2446.
constexpr std::int64_t kLatestTime = 0x37fffffff;

timespec time_of(const TarEntry& entry) {
  if (entry.mtime < 0) return {0, 0};
  if (entry.mtime > kLatestTime) return {kLatestTime, 0};
  return {entry.mtime, std::clamp<std::int64_t>(entry.mtime_nsec, 0, 999'999'999)};
}

// Attributes that a layer may set. trusted.overlay.* and user.overlay.* could redirect to other
// layers' files; labels of the build host's security modules mean nothing in the guest.
bool is_wanted(std::string_view name) {
  if (name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.")) return false;
  return name == "security.capability" || name == "system.posix_acl_access" ||
         name == "system.posix_acl_default" || name.starts_with("user.") ||
         name.starts_with("trusted.");
}

Result<void> set_xattrs(const TarEntry& entry, const std::string& path) {
  for (const auto& [name, value] : entry.xattrs) {
    if (!is_wanted(name)) continue;
    if (lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) continue;
    // The kernel knows user.* on files and directories only; a build host may have allowed more.
    if (name.starts_with("user.") && (errno == ENOTSUP || errno == EPERM)) {
      log_debug("ignoring {} on {}: not possible here", name, entry.path);
      continue;
    }
    return fail_errno(fmt::format("set {}", name));
  }
  return {};
}

Result<void> check_owner(const TarEntry& entry) {
  constexpr std::int64_t kLargest = 0xfffffffe;
  if (entry.uid < 0 || entry.uid > kLargest || entry.gid < 0 || entry.gid > kLargest) {
    return fail(ErrorKind::kCorrupt, "owner {}:{} does not exist", entry.uid, entry.gid);
  }
  return {};
}

Result<void> write_block(int fd, const TarBlock& block, std::int64_t size) {
  auto length = static_cast<std::int64_t>(block.bytes.size());
  if (block.offset < 0 || block.offset > size || length > size - block.offset) {
    return fail(ErrorKind::kCorrupt, "its content is larger than its size");
  }
  std::string_view rest = block.bytes;
  off_t at = block.offset;
  while (!rest.empty()) {
    ssize_t put = pwrite(fd, rest.data(), rest.size(), at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("write");
    rest.remove_prefix(static_cast<std::size_t>(put));
    at += put;
  }
  return {};
}

Result<void> make_node(const TarEntry& entry, int parent, const std::string& name) {
  // The kernel's 12 and 20 bits (linux/kdev_t.h).
  if (entry.device_major >= 1U << 12 || entry.device_minor >= 1U << 20) {
    return fail(ErrorKind::kCorrupt, "device {}:{} does not exist", entry.device_major,
                entry.device_minor);
  }
  mode_t type = entry.type == TarEntry::Type::kCharDevice    ? S_IFCHR
                : entry.type == TarEntry::Type::kBlockDevice ? S_IFBLK
                                                             : S_IFIFO;
  dev_t device = type == S_IFIFO ? 0 : makedev(entry.device_major, entry.device_minor);
  if (mknodat(parent, name.c_str(), type, device) != 0) return fail_errno("make device node");
  return {};
}

}  // namespace

void StagingTree::note_time(const timespec& time) {
  newest_ = std::max<std::int64_t>(newest_, time.tv_sec + (time.tv_nsec > 0 ? 1 : 0));
}

Result<void> StagingTree::add_object(const TarEntry& entry, const LayerPath& path,
                                     TarReader& content) {
  COCOON_TRY(check_owner(entry));
  if (entry.type == TarEntry::Type::kOther) {
    log_debug("ignoring {}: a socket or an unknown type", entry.path);
    return {};
  }
  Parent parent = COCOON_TRY(open_parent(path.parent, true));
  const std::string& name = path.name;
  if (entry.type == TarEntry::Type::kDirectory) return add_directory(entry, parent, name);
  if (entry.type == TarEntry::Type::kHardlink) return add_hardlink(entry, parent, name);
  COCOON_TRY(forget_object(parent, name, false));
  if (entry.type == TarEntry::Type::kFile) {
    COCOON_TRY(add_file(entry, parent, name, content));
  } else if (entry.type == TarEntry::Type::kSymlink) {
    if (symlinkat(entry.target.c_str(), parent.fd.get(), name.c_str()) != 0) {
      return fail_errno("make symbolic link");
    }
  } else {
    COCOON_TRY(make_node(entry, parent.fd.get(), name));
  }
  return set_attributes(entry, parent.fd.get(), name);
}

Result<void> StagingTree::add_directory(const TarEntry& entry, const Parent& parent,
                                        const std::string& name) {
  COCOON_TRY(forget_object(parent, name, true));
  struct stat info {};
  // Only a directory can have stayed.
  bool there = fstatat(parent.fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
  ino_t inode = there ? info.st_ino : COCOON_TRY(make_directory(parent, name));
  directories_[inode].mtime = time_of(entry);
  return set_attributes(entry, parent.fd.get(), name);
}

Result<void> StagingTree::add_file(const TarEntry& entry, const Parent& parent,
                                   const std::string& name, TarReader& content) {
  sys::UniqueFd fd(openat(parent.fd.get(), name.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail_errno("make file");
  while (true) {
    auto block = COCOON_TRY(content.block());
    if (!block) break;
    COCOON_TRY(write_block(fd.get(), *block, entry.size));
  }
  // Also makes a hole at the end, and says so when the disk is full.
  if (ftruncate(fd.get(), entry.size) != 0) return fail_errno("set the size");
  return {};
}

Result<void> StagingTree::add_hardlink(const TarEntry& entry, const Parent& parent,
                                       const std::string& name) {
  auto target = COCOON_TRY(parse_layer_path(entry.target), "hard link to \"{}\"", entry.target);
  auto marked = COCOON_TRY(classify(target), "hard link to \"{}\"", entry.target);
  if (marked.marker != Marker::kNone || target.name.empty()) {
    return fail(ErrorKind::kCorrupt, "hard link to \"{}\", which is no file", entry.target);
  }
  Parent from = COCOON_TRY(open_parent(target.parent, false), "hard link to \"{}\"", entry.target);
  struct stat info {};
  if (fstatat(from.fd.get(), target.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      S_ISDIR(info.st_mode)) {
    return fail(ErrorKind::kCorrupt, "hard link to \"{}\", which is not there", entry.target);
  }
  struct stat here {};
  if (fstatat(parent.fd.get(), name.c_str(), &here, AT_SYMLINK_NOFOLLOW) == 0 &&
      here.st_ino == info.st_ino) {
    return {};  // the same object already; removing it first could remove the target
  }
  COCOON_TRY(forget_object(parent, name, false));
  if (linkat(from.fd.get(), target.name.c_str(), parent.fd.get(), name.c_str(), 0) != 0) {
    if (errno == ENOENT) {
      return fail(ErrorKind::kCorrupt, "hard link to \"{}\", which it replaces", entry.target);
    }
    return fail_errno("make hard link");
  }
  return {};
}

Result<void> StagingTree::set_attributes(const TarEntry& entry, int parent,
                                         const std::string& name) {
  auto uid = static_cast<uid_t>(entry.uid);
  auto gid = static_cast<gid_t>(entry.gid);
  // First the owner: changing it clears set-id bits and file capabilities.
  if (fchownat(parent, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail_errno("change the owner");
  }
  bool link = entry.type == TarEntry::Type::kSymlink;
  if (!link && fchmodat(parent, name.c_str(), entry.mode, 0) != 0) {
    return fail_errno("change the mode");
  }
  COCOON_TRY(set_xattrs(entry, fmt::format("/proc/self/fd/{}/{}", parent, name)));
  timespec time = time_of(entry);
  note_time(time);
  if (entry.type == TarEntry::Type::kDirectory) return {};  // at the end: its entries change it
  timespec times[2] = {time, time};
  if (utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail_errno("set the time");
  }
  return {};
}

Result<void> StagingTree::set_root_attributes(const TarEntry& entry) {
  if (entry.type != TarEntry::Type::kDirectory) {
    return fail(ErrorKind::kCorrupt, "entry \"{}\": the root is not a directory", entry.path);
  }
  COCOON_TRY(check_owner(entry));
  struct stat info {};
  if (fstat(root_.get(), &info) != 0) return fail_errno("stat");
  directories_[info.st_ino].mtime = time_of(entry);
  return set_attributes(entry, root_.get(), ".");
}

}  // namespace cocoon::image
