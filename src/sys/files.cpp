// SPDX-License-Identifier: Apache-2.0
#include "sys/files.h"

#include <dirent.h>
#include <linux/openat2.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/id.h"
#include "sys/fault.h"

namespace cocoon::sys {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};
using DirStream = std::unique_ptr<DIR, DirCloser>;

Result<std::vector<std::string>> names_in(UniqueFd fd, const std::string& what) {
  DirStream dir(fdopendir(fd.get()));
  if (!dir) return fail_errno(fmt::format("read directory {}", what));
  // fdopendir took the descriptor over.
  [[maybe_unused]] int owned = fd.release();
  std::vector<std::string> names;
  errno = 0;
  while (dirent* entry = readdir(dir.get())) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return fail_errno(fmt::format("read directory {}", what));
  return names;
}

// Each level holds a descriptor. Deeper directories are brought up to the tree's own first.
constexpr int kDeepest = 64;

struct TreeRemoval {
  dev_t device;                    // nothing on another file system is touched
  int top = -1;                    // the tree's own directory, once it is open
  std::vector<std::string> moved;  // there, still to be removed
};

Result<void> bring_up(int parent, const std::string& name, TreeRemoval& tree) {
  std::string free_name = COCOON_TRY(random_hex(16));
  if (renameat(parent, name.c_str(), tree.top, free_name.c_str()) != 0) {
    return fail_errno(fmt::format("move directory {}", name));
  }
  tree.moved.push_back(std::move(free_name));
  return {};
}

// Removes `name` below `parent`; directories first empty.
Result<void> remove_at(int parent, const std::string& name, TreeRemoval& tree, int depth) {
  if (unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return fail_errno(fmt::format("remove {}", name));
  if (depth > kDeepest) return bring_up(parent, name, tree);
  UniqueFd dir(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir.valid()) return fail_errno(fmt::format("remove directory {}", name));
  struct stat info {};
  if (fstat(dir.get(), &info) != 0) return fail_errno(fmt::format("stat {}", name));
  if (info.st_dev != tree.device) {
    return fail(ErrorKind::kConflict, "remove {}: another file system is mounted there", name);
  }
  UniqueFd listing(openat(dir.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!listing.valid()) return fail_errno(fmt::format("read directory {}", name));
  auto names = COCOON_TRY(names_in(std::move(listing), name));
  if (depth == 0) tree.top = dir.get();
  for (const std::string& child : names) {
    COCOON_TRY(remove_at(dir.get(), child, tree, depth + 1), "remove {}", name);
  }
  while (depth == 0 && !tree.moved.empty()) {
    std::string child = std::move(tree.moved.back());
    tree.moved.pop_back();
    COCOON_TRY(remove_at(dir.get(), child, tree, 1), "remove {}", name);
  }
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return fail_errno(fmt::format("remove directory {}", name));
  }
  return {};
}

}  // namespace

Result<UniqueFd> open_file(const fs::path& path, int flags, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd.valid()) return fail_errno(fmt::format("open {}", path.native()));
  return fd;
}

Result<UniqueFd> open_dir(const fs::path& path) { return open_file(path, O_RDONLY | O_DIRECTORY); }

Result<UniqueFd> open_beneath(int dirfd, const std::string& name, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  UniqueFd fd(static_cast<int>(syscall(SYS_openat2, dirfd, name.c_str(), &how, sizeof how)));
  if (!fd.valid()) return fail_errno(fmt::format("open {}", name));
  return fd;
}

Result<std::string> read_fd(int fd, std::size_t limit) {
  std::string content;
  std::string chunk(64 * 1024, '\0');
  while (true) {
    ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read");
    if (got == 0) return content;
    content.append(chunk, 0, static_cast<std::size_t>(got));
    if (content.size() > limit) return fail(ErrorKind::kInvalid, "more than {} bytes", limit);
  }
}

Result<std::string> read_file(const fs::path& path, std::size_t limit) {
  UniqueFd fd = COCOON_TRY(open_file(path, O_RDONLY));
  return COCOON_TRY(read_fd(fd.get(), limit), "read {}", path.native());
}

std::string read_tail(const fs::path& path, std::size_t limit) {
  auto fd = open_file(path, O_RDONLY | O_NOFOLLOW);
  if (!fd) return {};
  off_t size = lseek(fd->get(), 0, SEEK_END);
  if (size <= 0) return {};
  off_t want = std::min(size, static_cast<off_t>(limit));
  std::string text(static_cast<std::size_t>(want), '\0');
  ssize_t got = pread(fd->get(), text.data(), text.size(), size - want);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("write");
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Result<void> write_file_atomic(const fs::path& path, std::string_view bytes, mode_t mode) {
  std::string suffix = COCOON_TRY(random_hex(6));
  fs::path temp = path.parent_path() / fmt::format(".tmp-{}", suffix);
  auto write = [&]() -> Result<void> {
    UniqueFd fd = COCOON_TRY(open_file(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
    if (fchmod(fd.get(), mode) != 0) return fail_errno("chmod");
    COCOON_TRY(write_all(fd.get(), bytes));
    if (fsync(fd.get()) != 0) return fail_errno("fsync");
    COCOON_TRY(rename_path(temp, path));
    return sync_dir(path.parent_path());
  };
  auto result = write();
  if (!result) {
    ::unlink(temp.c_str());
    return pass(std::move(result).error(), fmt::format("write {}", path.native()));
  }
  side_effect("write file");
  return {};
}

Result<void> sync_dir(const fs::path& path) {
  UniqueFd fd = COCOON_TRY(open_dir(path));
  // EINVAL, ENOTSUP, EBADF: the file system has no such thing (spec 01 §12).
  if (fsync(fd.get()) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EBADF) {
    return fail_errno(fmt::format("fsync {}", path.native()));
  }
  return {};
}

Result<void> sync_file(const fs::path& path) {
  UniqueFd fd = COCOON_TRY(open_file(path, O_RDONLY));
  if (fsync(fd.get()) != 0) return fail_errno(fmt::format("fsync {}", path.native()));
  return {};
}

bool exists(const fs::path& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0;
}

Result<void> make_dirs(const fs::path& path, mode_t mode) {
  if (path.empty() || path == path.root_path()) return {};
  struct stat info {};
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return fail(ErrorKind::kConflict, "make directory {}: a file is there", path.native());
  }
  COCOON_TRY(make_dirs(path.parent_path(), mode));
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return fail_errno(fmt::format("make directory {}", path.native()));
  }
  side_effect("make directory");
  return {};
}

Result<void> remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(fmt::format("remove {}", path.native()));
  }
  return {};
}

Result<void> remove_tree(const fs::path& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(fmt::format("stat {}", path.native()));
  }
  UniqueFd parent = COCOON_TRY(open_dir(path.parent_path()));
  TreeRemoval tree{info.st_dev, -1, {}};
  COCOON_TRY(remove_at(parent.get(), path.filename(), tree, 0), "remove {}", path.native());
  side_effect("remove tree");
  return {};
}

Result<std::vector<std::string>> list_dir(const fs::path& path) {
  auto fd = open_dir(path);
  if (!fd) {
    if (fd.error().saved_errno == ENOENT) return std::vector<std::string>{};
    return pass(std::move(fd).error());
  }
  auto names = COCOON_TRY(names_in(std::move(*fd), path.native()));
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> rename_path(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return fail_errno(fmt::format("rename {} to {}", from.native(), to.native()));
  }
  return {};
}

Result<void> hard_link(const fs::path& from, const fs::path& to) {
  if (::link(from.c_str(), to.c_str()) != 0) {
    return fail_errno(fmt::format("link {} to {}", from.native(), to.native()));
  }
  side_effect("hard link");
  return {};
}

Result<void> set_owner(const fs::path& path, uid_t uid, gid_t gid, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(fmt::format("open {}", path.native()));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return fail_errno(fmt::format("stat {}", path.native()));
  if (!S_ISDIR(info.st_mode) && info.st_nlink > 1) {
    return fail(ErrorKind::kInternal, "change the owner of {}: it has {} links", path.native(),
                info.st_nlink);
  }
  if (fchown(fd.get(), uid, gid) != 0 || fchmod(fd.get(), mode) != 0) {
    return fail_errno(fmt::format("change the owner of {}", path.native()));
  }
  return {};
}

bool supports_direct_io(const fs::path& path) {
  // EINVAL where the file system has no direct I/O (open(2)).
  return UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW)).valid();
}

Result<UniqueFd> create_sparse_file(const fs::path& path, std::int64_t size, mode_t mode) {
  UniqueFd fd = COCOON_TRY(open_file(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  side_effect("create file");
  if (ftruncate(fd.get(), size) != 0) {
    return fail_errno(fmt::format("set the size of {} to {}", path.native(), size));
  }
  return fd;
}

Result<std::int64_t> free_bytes(const fs::path& path) {
  struct statvfs info {};
  if (statvfs(path.c_str(), &info) != 0) return fail_errno(fmt::format("statfs {}", path.native()));
  return static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
}

std::int64_t allocated_bytes(const fs::path& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 ? static_cast<std::int64_t>(info.st_blocks) * 512 : 0;
}

Result<TempDir> TempDir::create(const fs::path& parent, std::string_view prefix) {
  std::string pattern = (parent / fmt::format("{}XXXXXX", prefix)).native();
  if (mkdtemp(pattern.data()) == nullptr) return fail_errno(fmt::format("make {}", pattern));
  side_effect("make temporary directory");
  return TempDir(pattern);
}

TempDir::~TempDir() {
  if (!path_.empty()) ignore(remove_tree(path_), "temporary directory; gc removes it");
}

}  // namespace cocoon::sys
