// SPDX-License-Identifier: Apache-2.0
#include "tree_copy/pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "tree_copy/fd.h"

namespace cocoon::tree_copy {
namespace {

constexpr std::size_t kPiece = 128 * 1024;
constexpr int kMaxDepth = 512;
constexpr std::size_t kMaxExtents = 100'000;  // then the rest counts as data
constexpr std::size_t kMaxXattr = 64 * 1024;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// Not files but the kernel's view of itself: they have no end, or no meaning elsewhere.
bool is_kernel_view(int fd) {
  constexpr std::array kViews{PROC_SUPER_MAGIC,   SYSFS_MAGIC,   DEVPTS_SUPER_MAGIC,
                              CGROUP_SUPER_MAGIC, DEBUGFS_MAGIC, CGROUP2_SUPER_MAGIC,
                              SECURITYFS_MAGIC,   TRACEFS_MAGIC};
  struct statfs info {};
  return ::fstatfs(fd, &info) == 0 &&
         std::find(kViews.begin(), kViews.end(), info.f_type) != kViews.end();
}

class Packer {
 public:
  Packer(ByteSink& sink, const Report& report) : sink_(sink), report_(report) {}

  bool run(const PackRequest& request);

 private:
  void add(int parent, const std::string& name, const std::string& path, int depth, int flags);
  void add_file(int parent, const std::string& name, Entry& entry, int flags);
  void add_directory(int parent, const std::string& name, Entry& entry, int depth, int flags);
  void add_below(int directory, const std::string& path, int depth);
  bool is_known_link(const struct stat& info, Entry& entry);
  void find_extents(int fd, Entry& entry);
  void copy_range(int fd, const Entry& entry, std::int64_t offset, std::int64_t size);
  void emit(std::string_view bytes) {
    if (!broken_ && !sink_.write(bytes)) broken_ = true;
  }
  void fail(std::string_view path, int error) {
    clean_ = false;
    report_(std::string(path) + ": " + std::strerror(error));
  }

  ByteSink& sink_;
  const Report& report_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;  // files of several names: the first one
  bool clean_ = true;
  bool broken_ = false;
};

Entry entry_of(const struct stat& info, const std::string& path) {
  Entry entry;
  entry.path = path;
  entry.mode = info.st_mode & 07777;
  entry.uid = info.st_uid;
  entry.gid = info.st_gid;
  entry.mtime = info.st_mtim.tv_sec;
  entry.mtime_ns = info.st_mtim.tv_nsec;
  return entry;
}

void read_xattrs(int fd, Entry& entry) {
  std::string names(kMaxXattr, '\0');
  const ssize_t size = ::flistxattr(fd, names.data(), names.size());
  if (size <= 0) return;
  std::string_view rest(names.data(), static_cast<std::size_t>(size));
  std::string value(kMaxXattr, '\0');
  while (!rest.empty()) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    const ssize_t got = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (got >= 0) entry.xattrs.emplace_back(name, value.substr(0, static_cast<std::size_t>(got)));
  }
}

bool Packer::is_known_link(const struct stat& info, Entry& entry) {
  if (info.st_nlink < 2) return false;
  const auto [found, fresh] = links_.try_emplace({info.st_dev, info.st_ino}, entry.path);
  if (fresh) return false;
  entry.kind = EntryKind::kHardLink;
  entry.link = found->second;
  entry.size = 0;
  return true;
}

void Packer::find_extents(int fd, Entry& entry) {
  std::int64_t at = 0;
  while (at < entry.size) {
    const std::int64_t data = ::lseek(fd, at, SEEK_DATA);
    if (data < 0 || data >= entry.size) break;
    std::int64_t hole = ::lseek(fd, data, SEEK_HOLE);
    if (hole < 0 || hole > entry.size || entry.extents.size() >= kMaxExtents) hole = entry.size;
    entry.extents.push_back({data, hole - data});
    at = hole;
  }
  // An extent of nothing at the end is how GNU tar tells the size of a file that ends with a hole.
  if (at < entry.size || entry.extents.empty()) entry.extents.push_back({entry.size, 0});
  entry.sparse = true;
}

void Packer::copy_range(int fd, const Entry& entry, std::int64_t offset, std::int64_t size) {
  std::string bytes(static_cast<std::size_t>(std::min<std::int64_t>(size, kPiece)), '\0');
  bool short_of = false;
  while (size > 0 && !broken_) {
    const std::size_t piece = static_cast<std::size_t>(
        std::min<std::int64_t>(size, static_cast<std::int64_t>(bytes.size())));
    ssize_t got = short_of ? 0 : ::pread(fd, bytes.data(), piece, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 && !short_of) {
      // It shrank while it was read. The size is promised, so it is kept.
      short_of = true;
      fail(entry.path, got < 0 ? errno : ENODATA);
    }
    if (short_of) {
      std::fill(bytes.begin(), bytes.end(), '\0');
      got = static_cast<ssize_t>(piece);
    }
    emit({bytes.data(), static_cast<std::size_t>(got)});
    offset += got;
    size -= got;
  }
}

void Packer::add_file(int parent, const std::string& name, Entry& entry, int flags) {
  const Fd fd(::openat(parent, name.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return fail(entry.path, errno);
  if (!S_ISREG(info.st_mode)) return fail(entry.path, ESTALE);  // replaced meanwhile
  entry.size = info.st_size;
  if (is_known_link(info, entry)) return emit(render_entry(entry));
  read_xattrs(fd.get(), entry);
  if (info.st_blocks * 512 < info.st_size) find_extents(fd.get(), entry);
  emit(render_entry(entry));
  if (entry.sparse) {
    for (const Extent& extent : entry.extents)
      copy_range(fd.get(), entry, extent.offset, extent.size);
  } else {
    copy_range(fd.get(), entry, 0, entry.size);
  }
  emit(std::string(static_cast<std::size_t>(padding(data_size(entry))), '\0'));
}

void Packer::add_directory(int parent, const std::string& name, Entry& entry, int depth,
                           int flags) {
  const Fd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags));
  if (!fd) return fail(entry.path, errno);
  const std::string path = entry.path;
  entry.kind = EntryKind::kDirectory;
  entry.path += '/';
  read_xattrs(fd.get(), entry);
  emit(render_entry(entry));
  if (depth >= kMaxDepth) return fail(path, ELOOP);
  if (!is_kernel_view(fd.get())) add_below(fd.get(), path, depth);
}

void Packer::add_below(int directory, const std::string& path, int depth) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, CloseDir> dir(
      ::fdopendir(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!dir) return fail(path, errno);
  while (const dirent* item = ::readdir(dir.get())) {
    const std::string_view name = item->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (broken_) return;
    add(directory, name, path + "/" + name, depth + 1, O_NOFOLLOW);
  }
}

void Packer::add(int parent, const std::string& name, const std::string& path, int depth,
                 int flags) {
  struct stat info {};
  const int follow = flags == O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
  if (::fstatat(parent, name.c_str(), &info, follow) != 0) return fail(path, errno);
  Entry entry = entry_of(info, path);
  if (S_ISDIR(info.st_mode)) return add_directory(parent, name, entry, depth, flags);
  if (S_ISREG(info.st_mode)) return add_file(parent, name, entry, flags);
  if (S_ISSOCK(info.st_mode)) return;  // means nothing elsewhere
  if (S_ISLNK(info.st_mode)) {
    std::string link(static_cast<std::size_t>(std::max<off_t>(info.st_size, 4095) + 1), '\0');
    const ssize_t size = ::readlinkat(parent, name.c_str(), link.data(), link.size());
    if (size < 0) return fail(path, errno);
    entry.kind = EntryKind::kSymlink;
    entry.link = link.substr(0, static_cast<std::size_t>(size));
  } else if (S_ISFIFO(info.st_mode)) {
    entry.kind = EntryKind::kFifo;
  } else {
    entry.kind = S_ISCHR(info.st_mode) ? EntryKind::kCharDevice : EntryKind::kBlockDevice;
    entry.device_major = static_cast<std::int64_t>(major(info.st_rdev));
    entry.device_minor = static_cast<std::int64_t>(minor(info.st_rdev));
  }
  is_known_link(info, entry);
  emit(render_entry(entry));
}

bool Packer::run(const PackRequest& request) {
  std::string path = request.path;
  const bool slash = path.size() > 1 && path.ends_with('/');
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const std::string name = top_name(path);
  const bool follow = request.follow || slash || name == ".";
  add(AT_FDCWD, path, name, 0, follow ? 0 : O_NOFOLLOW);
  emit(render_end());
  return clean_ && !broken_;
}

}  // namespace

std::string top_name(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  std::string name(path.substr(path.rfind('/') + 1));
  if (name.empty() || name == "..") name = std::string(1, '.');  // "/", "dir/.."
  return name;
}

bool pack_tree(const PackRequest& request, ByteSink& sink, const Report& report) {
  return Packer(sink, report).run(request);
}

}  // namespace cocoon::tree_copy
