// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/boot_scan.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "image/acquire/boot_names.h"
#include "image/acquire/digest.h"

namespace cocoon::image {
namespace {

using model::BootEntry;

constexpr std::size_t kMostEntries = 512;

class Scanner {
 public:
  explicit Scanner(int root_fd) : root_fd_(root_fd) {}

  Result<void> scan(const std::string& dir) {
    auto fd = sys::open_beneath(root_fd_, dir.empty() ? "." : dir, O_RDONLY | O_DIRECTORY);
    if (!fd) return {};  // not there, or no directory: then the one above said so
    if (!dir.empty() && is_opaque(fd->get())) add({BootEntry::Type::kOpaque, dir, "", "", 0});
    auto names = COCOON_TRY(sys::list_dir(fmt::format("/proc/self/fd/{}", fd->get())));
    for (const std::string& name : names) {
      std::string path = dir.empty() ? name : dir + "/" + name;
      if (is_boot_directory(path) || is_boot_name(path)) {
        COCOON_TRY(look_at(fd->get(), name, path), "look at {}", path);
      }
    }
    return {};
  }

  std::vector<BootEntry> take() { return std::move(entries_); }

 private:
  static bool is_opaque(int fd) {
    std::array<char, 1> value{};
    return fgetxattr(fd, "trusted.overlay.opaque", value.data(), value.size()) == 1;
  }

  void add(BootEntry entry) {
    if (entries_.size() < kMostEntries) entries_.push_back(std::move(entry));
  }

  Result<void> look_at(int dir, const std::string& name, const std::string& path) {
    struct stat info {};
    if (fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno("stat");
    bool whiteout = S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
    if (is_boot_directory(path)) {
      if (S_ISDIR(info.st_mode)) return scan(path);
      // Whatever it is, it hides the directory of the layers below.
      add({BootEntry::Type::kWhiteout, path, "", "", 0});
      return {};
    }
    if (whiteout) add({BootEntry::Type::kWhiteout, path, "", "", 0});
    if (S_ISLNK(info.st_mode)) return add_link(dir, name, path);
    if (S_ISREG(info.st_mode)) return add_file(dir, name, path, info.st_size);
    return {};
  }

  Result<void> add_link(int dir, const std::string& name, const std::string& path) {
    std::array<char, 4096> target{};
    ssize_t size = readlinkat(dir, name.c_str(), target.data(), target.size());
    if (size < 0) return fail_errno("read the link");
    std::string text(target.data(), static_cast<std::size_t>(size));
    if (is_plain_text(text)) add({BootEntry::Type::kSymlink, path, text, "", 0});
    return {};
  }

  Result<void> add_file(int dir, const std::string& name, const std::string& path, off_t size) {
    std::string digest = COCOON_TRY(sha256_file(fmt::format("/proc/self/fd/{}/{}", dir, name)));
    add({BootEntry::Type::kFile, path, "", std::move(digest), size});
    return {};
  }

  int root_fd_;
  std::vector<BootEntry> entries_;
};

}  // namespace

Result<std::vector<BootEntry>> scan_boot_entries(int root_fd) {
  Scanner scanner(root_fd);
  COCOON_TRY(scanner.scan(""), "look for boot files");
  return scanner.take();
}

Result<void> stash_boot_files(int root_fd, const std::vector<BootEntry>& entries,
                              const sys::fs::path& dir) {
  for (const BootEntry& entry : entries) {
    if (entry.type != BootEntry::Type::kFile) continue;
    auto to = dir / entry.sha256;
    sys::UniqueFd fd = COCOON_TRY(sys::open_beneath(root_fd, entry.path, O_RDONLY | O_NONBLOCK));
    auto from = fmt::format("/proc/self/fd/{}", fd.get());
    // Two layers may bring the same file at the same time.
    if (linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) != 0 &&
        errno != EEXIST) {
      return fail_errno(fmt::format("keep {}", entry.path));
    }
  }
  return {};
}

}  // namespace cocoon::image
