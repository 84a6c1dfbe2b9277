// SPDX-License-Identifier: Apache-2.0
#include "guest/root_dir.h"

#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace cocoon::guest {
namespace {

constexpr const char* kTemporary = ".cocoon-new";

struct SplitPath {
  std::string parent;
  std::string name;
};

SplitPath split(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, slash + 1), path.substr(slash + 1)};
}

bool holds(int dir, const std::string& name, std::string_view content, mode_t mode) {
  const auto text = read_file_at(dir, name.c_str(), content.size(), O_NOFOLLOW);
  if (!text || *text != content) return false;
  struct stat status {};
  return ::fstatat(dir, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         (status.st_mode & 07777) == mode;
}

}  // namespace

Result<RootDir> RootDir::open(const char* path) {
  UniqueFd fd(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(path);
  return RootDir(std::move(fd));
}

int RootDir::try_open(const std::string& path, int flags) const {
  open_how how{};
  how.flags = static_cast<__u64>(static_cast<unsigned>(flags | O_CLOEXEC));
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, fd_.get(), path.c_str(), &how, sizeof how);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

Result<UniqueFd> RootDir::open_at(const std::string& path, int flags) const {
  const int fd = try_open(path, flags);
  if (fd < 0) return fail_errno(path, "open", -fd);
  return UniqueFd(fd);
}

Result<UniqueFd> RootDir::make_dirs(const std::string& path, mode_t mode) const {
  UniqueFd at = COCOON_GUEST_TRY(open_at(".", O_PATH | O_DIRECTORY));
  std::size_t start = 0;
  while (start < path.size()) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string name = path.substr(start, end - start);
    start = end + 1;
    if (name.empty() || name == ".") continue;
    // Each prefix is resolved from the root anew, so that ".." and symlinks keep their meaning.
    const std::string prefix = path.substr(0, end);
    int next = try_open(prefix, O_PATH | O_DIRECTORY);
    if (next == -ENOENT) {
      if (::mkdirat(at.get(), name.c_str(), mode) != 0) return fail_errno(prefix, "mkdir");
      next = try_open(prefix, O_PATH | O_DIRECTORY);
    }
    if (next < 0) return fail_errno(prefix, "open", -next);
    at = UniqueFd(next);
  }
  return at;
}

Result<void> RootDir::replace_file(const std::string& path, std::string_view content,
                                   mode_t mode) const {
  const auto [parent, name] = split(path);
  const UniqueFd dir = COCOON_GUEST_TRY(make_dirs(parent));
  if (holds(dir.get(), name, content, mode)) return {};

  ::unlinkat(dir.get(), kTemporary, 0);  // left by a boot that was cut off
  const UniqueFd file(
      ::openat(dir.get(), kTemporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_errno(path, "create");
  if (!write_all(file.get(), content) || ::fchmod(file.get(), mode) != 0 ||
      ::renameat(dir.get(), kTemporary, dir.get(), name.c_str()) != 0) {
    const int error = errno;
    ::unlinkat(dir.get(), kTemporary, 0);
    return fail_errno(path, "write", error);
  }
  return {};
}

Result<void> mount_on(const UniqueFd& target, const std::string& source, const char* fstype,
                      unsigned long flags, const char* options) {
  const std::string call = fstype != nullptr ? std::string("mount ") + fstype : "move";
  if (::fchdir(target.get()) != 0) return fail_errno(source, "chdir");
  const int status = ::mount(source.c_str(), ".", fstype, flags, options);
  const int error = errno;
  if (::chdir("/") != 0 || status != 0)
    return fail_errno(source, call, status != 0 ? error : errno);
  return {};
}

}  // namespace cocoon::guest
