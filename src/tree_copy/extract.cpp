// SPDX-License-Identifier: Apache-2.0
#include "tree_copy/extract.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "tree_copy/directory_list.h"
#include "tree_copy/place.h"

namespace cocoon::tree_copy {
namespace {

constexpr std::size_t kMaxKept = std::size_t{64} << 20;  // of directories, until the end
constexpr std::size_t kPiece = 128 * 1024;
constexpr std::string_view kUnasked = "outside of what is copied";
constexpr unsigned kSetId = S_ISUID | S_ISGID;

std::string error_text(int error) { return std::strerror(error); }

class Extractor {
 public:
  Extractor(const ExtractRequest& request, ByteSource& source, const Report& report)
      : request_(request), source_(source), report_(report) {}

  bool run();

 private:
  using Components = std::vector<std::string>;
  struct Target {
    Fd parent;
    std::string name;  // empty: the destination itself
  };

  bool open_place(const Entry& first, const Components& components);
  bool is_wanted(const Components& components) const {
    return top_.empty() || (!components.empty() && components.front() == top_);
  }
  bool is_allowed(std::string_view xattr) const {
    return !request_.confined || xattr.starts_with("user.");
  }
  bool open_parent_place(const Components& components);
  bool take(Entry& entry);
  bool make(const Entry& entry, const Components& components);
  std::optional<Components> locate(std::string_view path);
  bool make_directory(const Target& target, const Entry& entry, const Components& components);
  bool make_file(const Target& target, const Entry& entry);
  bool make_symlink(const Target& target, const Entry& entry);
  bool make_hard_link(const Target& target, const Entry& entry);
  bool make_node(const Target& target, const Entry& entry);
  bool clear_way(const Target& target);
  bool write_data(int fd, const Entry& entry);
  bool copy_range(int fd, std::int64_t offset, std::int64_t size);
  bool skip(std::int64_t size);
  void set_attributes(int fd, const Entry& entry);
  void finish_directories();
  // Reports and says false.
  bool fail(std::string_view path, std::string_view why);
  bool fail_errno(std::string_view path) { return fail(path, error_text(errno)); }

  const ExtractRequest& request_;
  ByteSource& source_;
  const Report& report_;
  std::optional<Place> place_;
  std::string rename_top_;               // the name of the one top entry; empty: its own
  std::string top_;                      // the archive's name of it; empty: there may be any
  bool existed_ = false;                 // the destination, as a directory
  DirectoryList directories_{kMaxKept};  // their attributes come last
  std::size_t set_id_dropped_ = 0;
  bool source_broken_ = false;
  bool clean_ = true;
};

bool Extractor::fail(std::string_view path, std::string_view why) {
  clean_ = false;
  report_(std::string(path) + ": " + std::string(why));
  return false;
}

bool Extractor::open_parent_place(const Components& components) {
  std::string path = request_.destination;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  Fd fd(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(parent);
  rename_top_ = slash == std::string::npos ? path : path.substr(slash + 1);
  if (rename_top_.empty() || rename_top_ == "." || rename_top_ == "..")
    return fail(request_.destination, "no name for a file");
  if (components.empty()) {
    // The content of a directory: it becomes the new one.
    if (::mkdirat(fd.get(), rename_top_.c_str(), 0755) != 0) return fail_errno(path);
    fd = Fd(::openat(fd.get(), rename_top_.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return fail_errno(path);
    rename_top_.clear();
  } else {
    top_ = components.front();
  }
  place_.emplace(std::move(fd), request_.confined);
  return true;
}

bool Extractor::open_place(const Entry& first, const Components& components) {
  const std::string& path = request_.destination;
  top_ = request_.top;
  if (!is_wanted(components)) return fail(first.path, kUnasked);
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) {
      Fd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!fd) return fail_errno(path);
      place_.emplace(std::move(fd), request_.confined);
      existed_ = true;
      return true;
    }
    if (first.kind == EntryKind::kDirectory || request_.must_be_directory || path.ends_with('/'))
      return fail(path, "not a directory");
    return open_parent_place(components);
  }
  if (errno != ENOENT || request_.must_be_directory) return fail_errno(path);
  if (path.ends_with('/') && first.kind != EntryKind::kDirectory)
    return fail(path, "no such directory");
  return open_parent_place(components);
}

// Where an entry goes: its components, the top one renamed if so wanted.
std::optional<Extractor::Components> Extractor::locate(std::string_view path) {
  auto components = path_components(path);
  if (!components) {
    fail(path, "not a path within the archive");
    return std::nullopt;
  }
  if (!is_wanted(*components)) {
    fail(path, kUnasked);
    return std::nullopt;
  }
  if (!rename_top_.empty()) components->front() = rename_top_;
  return components;
}

bool Extractor::clear_way(const Target& target) {
  return ::unlinkat(target.parent.get(), target.name.c_str(), 0) == 0 || errno == ENOENT;
}

bool Extractor::skip(std::int64_t size) {
  std::string bytes(kPiece, '\0');
  while (size > 0) {
    const std::size_t piece = static_cast<std::size_t>(
        std::min<std::int64_t>(size, static_cast<std::int64_t>(bytes.size())));
    if (!source_.read(bytes.data(), piece)) return false;
    size -= static_cast<std::int64_t>(piece);
  }
  return true;
}

bool Extractor::copy_range(int fd, std::int64_t offset, std::int64_t size) {
  std::string bytes(static_cast<std::size_t>(std::min<std::int64_t>(size, kPiece)), '\0');
  bool good = true;
  while (size > 0) {
    const std::size_t piece = static_cast<std::size_t>(
        std::min<std::int64_t>(size, static_cast<std::int64_t>(bytes.size())));
    if (!source_.read(bytes.data(), piece)) {
      source_broken_ = true;
      return false;
    }
    // After a full disk the rest is read all the same: the next entry follows it.
    for (std::size_t put = 0; good && put < piece;) {
      const ssize_t wrote =
          ::pwrite(fd, bytes.data() + put, piece - put, offset + static_cast<std::int64_t>(put));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) good = false;
      put += wrote > 0 ? static_cast<std::size_t>(wrote) : 0;
    }
    offset += static_cast<std::int64_t>(piece);
    size -= static_cast<std::int64_t>(piece);
  }
  return good;
}

bool Extractor::write_data(int fd, const Entry& entry) {
  if (!entry.sparse) return copy_range(fd, 0, entry.size);
  bool good = ::ftruncate(fd, entry.size) == 0;
  for (const Extent& extent : entry.extents) good &= copy_range(fd, extent.offset, extent.size);
  return good;
}

void Extractor::set_attributes(int fd, const Entry& entry) {
  const bool owned =
      ::fchown(fd, static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid)) == 0;
  if (!owned && ::geteuid() == 0) fail_errno(entry.path);
  unsigned mode = entry.mode;
  if (request_.confined && entry.kind != EntryKind::kDirectory && (mode & kSetId) != 0) {
    mode &= ~kSetId;
    ++set_id_dropped_;
  }
  for (const auto& [name, value] : entry.xattrs) {
    if (!is_allowed(name)) continue;
    if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP)
      fail(entry.path, "extended attribute " + name + ": " + error_text(errno));
  }
  if (::fchmod(fd, mode) != 0) fail_errno(entry.path);
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = entry.mtime, .tv_nsec = entry.mtime_ns}};
  (void)::futimens(fd, times);
}

bool Extractor::make_file(const Target& target, const Entry& entry) {
  Fd fd;
  // Never into what is there: it may be a FIFO, a device, or shared with somebody by a hard link.
  if (clear_way(target))
    fd = Fd(::openat(target.parent.get(), target.name.c_str(),
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    fail_errno(entry.path);
    source_broken_ = !skip(data_size(entry));
    return false;
  }
  const bool written = write_data(fd.get(), entry);
  if (!written) return source_broken_ ? false : fail_errno(entry.path);
  set_attributes(fd.get(), entry);
  return true;
}

bool Extractor::make_directory(const Target& target, const Entry& entry,
                               const Components& components) {
  if (!target.name.empty()) {
    struct stat info {};
    const int status =
        ::fstatat(target.parent.get(), target.name.c_str(), &info, AT_SYMLINK_NOFOLLOW);
    // In a guest of one's own, a link to a directory will do, as for tar.
    if (status == 0 && S_ISLNK(info.st_mode) && !request_.confined) return true;
    if (status != 0 && ::mkdirat(target.parent.get(), target.name.c_str(), 0700) != 0)
      return fail_errno(entry.path);
    if (status == 0 && !S_ISDIR(info.st_mode)) return fail(entry.path, "not a directory");
  }
  if (target.name.empty() && existed_ && request_.confined) return true;
  Entry kept = entry;
  kept.path.clear();
  for (const std::string& name : components) kept.path += name + "/";
  std::erase_if(kept.xattrs, [this](const auto& xattr) { return !is_allowed(xattr.first); });
  return directories_.push(std::move(kept)) || fail(entry.path, "too many directories");
}

bool Extractor::make_symlink(const Target& target, const Entry& entry) {
  const int parent = target.parent.get();
  const char* name = target.name.c_str();
  if (!clear_way(target) || ::symlinkat(entry.link.c_str(), parent, name) != 0)
    return fail_errno(entry.path);
  if (::fchownat(parent, name, static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid),
                 AT_SYMLINK_NOFOLLOW) != 0 &&
      ::geteuid() == 0)
    return fail_errno(entry.path);
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = entry.mtime, .tv_nsec = entry.mtime_ns}};
  (void)::utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW);
  return true;
}

bool Extractor::make_hard_link(const Target& target, const Entry& entry) {
  const auto components = locate(entry.link);
  if (!components) return false;
  if (components->empty()) return fail(entry.path, "a link to nothing");
  const Fd from = place_->open_dir(*components, components->size() - 1, false);
  if (!from || !clear_way(target) ||
      ::linkat(from.get(), components->back().c_str(), target.parent.get(), target.name.c_str(),
               0) != 0)
    return fail_errno(entry.path);
  return true;
}

bool Extractor::make_node(const Target& target, const Entry& entry) {
  mode_t type = S_IFIFO;
  if (entry.kind == EntryKind::kCharDevice) type = S_IFCHR;
  if (entry.kind == EntryKind::kBlockDevice) type = S_IFBLK;
  if (type != S_IFIFO && request_.confined) return fail(entry.path, "a device: left out");
  const dev_t device = ::makedev(static_cast<unsigned>(entry.device_major),
                                 static_cast<unsigned>(entry.device_minor));
  const mode_t mode = type | (entry.mode & 0777);
  if (!clear_way(target) ||
      ::mknodat(target.parent.get(), target.name.c_str(), mode, device) != 0 ||
      ::fchownat(target.parent.get(), target.name.c_str(), static_cast<uid_t>(entry.uid),
                 static_cast<gid_t>(entry.gid), AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno(entry.path);
  return true;
}

bool Extractor::make(const Entry& entry, const Components& components) {
  Target target;
  target.name = components.empty() ? "" : components.back();
  target.parent =
      place_->open_dir(components, components.empty() ? 0 : components.size() - 1, true);
  const bool to_top = components.empty() && entry.kind != EntryKind::kDirectory;
  if (!target.parent || to_top) {
    to_top ? fail(entry.path, "no name") : fail_errno(entry.path);
    source_broken_ = !skip(data_size(entry));
    return false;
  }
  switch (entry.kind) {
    case EntryKind::kFile:
      return make_file(target, entry);
    case EntryKind::kHardLink:
      return make_hard_link(target, entry);
    case EntryKind::kSymlink:
      return make_symlink(target, entry);
    case EntryKind::kDirectory:
      return make_directory(target, entry, components);
    case EntryKind::kCharDevice:
    case EntryKind::kBlockDevice:
    case EntryKind::kFifo:
      return make_node(target, entry);
  }
  return false;
}

// False: the stream cannot be gone on with.
bool Extractor::take(Entry& entry) {
  if (!place_) {
    const auto components = path_components(entry.path);
    if (!components) return fail(entry.path, "not a path within the archive");
    if (!open_place(entry, *components)) return false;
  }
  const auto components = locate(entry.path);
  if (components) {
    make(entry, *components);
  } else {
    source_broken_ = !skip(data_size(entry));
  }
  if (!source_broken_) source_broken_ = !skip(padding(data_size(entry)));
  if (source_broken_) return fail(entry.path, "the archive is cut off");
  return true;
}

// The innermost first: what is done in a directory changes its time.
void Extractor::finish_directories() {
  while (const auto entry = directories_.pop()) {
    const Components components = path_components(entry->path).value_or(Components());
    const Fd path = place_->open_dir(components, components.size(), false);
    // A real descriptor of the same directory: O_PATH ones take no attributes.
    const Fd fd(path ? ::openat(path.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1);
    if (fd) {
      set_attributes(fd.get(), *entry);
    } else {
      fail_errno(entry->path);
    }
  }
}

bool Extractor::run() {
  Entry entry;
  std::string why;
  while (true) {
    const ReadResult result = read_entry(source_, entry, why);
    if (result == ReadResult::kEnd) break;
    if (result == ReadResult::kBad) {
      fail("archive", why);
      break;
    }
    if (!take(entry)) break;
  }
  finish_directories();
  if (set_id_dropped_ > 0)
    report_("set-user-id and set-group-id bits of " + std::to_string(set_id_dropped_) +
            " files were left out");
  return clean_;
}

}  // namespace

bool extract_tree(const ExtractRequest& request, ByteSource& source, const Report& report) {
  return Extractor(request, source, report).run();
}

}  // namespace cocoon::tree_copy
