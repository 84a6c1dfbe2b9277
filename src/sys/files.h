// SPDX-License-Identifier: Apache-2.0
// Files and directories. Functions that take a directory descriptor and a name never follow a
// symbolic link out of it (openat2(2), RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS): a VMM owns parts of
// its directory and may plant links there (design §5).
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace cocoon::sys {

namespace fs = std::filesystem;

// open(2) with O_CLOEXEC. The error names the path.
Result<UniqueFd> open_file(const fs::path& path, int flags, mode_t mode = 0);

// Opens a directory.
Result<UniqueFd> open_dir(const fs::path& path);

// Opens `name` (may contain '/') below `dirfd` without following any link.
Result<UniqueFd> open_beneath(int dirfd, const std::string& name, int flags, mode_t mode = 0);

// Whole content; kInvalid when it is larger than `limit` bytes.
Result<std::string> read_file(const fs::path& path, std::size_t limit);
Result<std::string> read_fd(int fd, std::size_t limit);

// The last `limit` bytes of a file (for error messages); empty when it cannot be read.
std::string read_tail(const fs::path& path, std::size_t limit);

Result<void> write_all(int fd, std::string_view bytes);

// Replaces `path` by a file of this content: temporary file beside it, fsync, rename, fsync of the
// directory. Nothing half-written is ever visible; the temporary file is gone after a failure.
Result<void> write_file_atomic(const fs::path& path, std::string_view bytes, mode_t mode);

// fsync of a directory, so that a rename in it lasts. File systems that cannot are fine.
Result<void> sync_dir(const fs::path& path);
Result<void> sync_file(const fs::path& path);

bool exists(const fs::path& path);

// mkdir -p with `mode` for every directory that it makes. An existing one is left as it is.
Result<void> make_dirs(const fs::path& path, mode_t mode);

// unlink(2); a file that is not there is fine.
Result<void> remove_file(const fs::path& path);

// Removes a tree by descriptors: never follows a link, never leaves the file system it started on.
// Not there is fine.
Result<void> remove_tree(const fs::path& path);

// Names in a directory, sorted, without "." and "..". An absent directory has none.
Result<std::vector<std::string>> list_dir(const fs::path& path);

Result<void> rename_path(const fs::path& from, const fs::path& to);
Result<void> hard_link(const fs::path& from, const fs::path& to);

// Sets owner and mode of one inode with a single link; refuses others (design §5: never an inode
// with more than one link).
Result<void> set_owner(const fs::path& path, uid_t uid, gid_t gid, mode_t mode);

// Can this file be opened with O_DIRECT? False as well when it cannot be opened at all.
bool supports_direct_io(const fs::path& path);

// Makes a sparse file of `size` bytes that must not exist yet.
Result<UniqueFd> create_sparse_file(const fs::path& path, std::int64_t size, mode_t mode);

// Bytes that a file system has left for us.
Result<std::int64_t> free_bytes(const fs::path& path);

// Bytes really allocated below a path (st_blocks).
std::int64_t allocated_bytes(const fs::path& path);

// A fresh directory `<parent>/<prefix>XXXXXX`, mode 0700, removed with its content by the
// destructor unless kept.
class [[nodiscard]] TempDir {
 public:
  static Result<TempDir> create(const fs::path& parent, std::string_view prefix);
  TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempDir& operator=(TempDir&&) = delete;
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();
  const fs::path& path() const { return path_; }

 private:
  explicit TempDir(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

}  // namespace cocoon::sys
