// SPDX-License-Identifier: Apache-2.0
//
// Paths inside the new root, before and after it becomes the root. The image decides what is in
// there; symlinks are followed, but never out of the root (openat2 with RESOLVE_IN_ROOT,
// Linux 5.6).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "guest/fd.h"
#include "guest/result.h"

namespace cocoon::guest {

class RootDir {
 public:
  static Result<RootDir> open(const char* path);

  /// The directory at `path`, made with all missing parents (owned by root, `mode` without the
  /// umask's bits). An O_PATH descriptor.
  Result<UniqueFd> make_dirs(const std::string& path, mode_t mode = 0755) const;

  /// An existing object, opened with `flags`; O_NOFOLLOW concerns the last component alone.
  Result<UniqueFd> open_at(const std::string& path, int flags) const;

  /// Puts a regular file with this content at `path`, replacing a symlink instead of writing
  /// through it; missing directories are made. A file that already reads so is left alone.
  Result<void> replace_file(const std::string& path, std::string_view content,
                            mode_t mode = 0644) const;

  int fd() const { return fd_.get(); }

 private:
  explicit RootDir(UniqueFd fd) : fd_(std::move(fd)) {}
  /// A descriptor, or minus an errno value.
  int try_open(const std::string& path, int flags) const;

  UniqueFd fd_;
};

/// Mounts on the very directory `target` (an O_PATH descriptor will do). Changes the working
/// directory: mount(2) knows no descriptors, and /proc/self/fd needs a /proc. `source` must
/// therefore be absolute or a mere name.
Result<void> mount_on(const UniqueFd& target, const std::string& source, const char* fstype,
                      unsigned long flags, const char* options = nullptr);

}  // namespace cocoon::guest
