// SPDX-License-Identifier: Apache-2.0
// Operation locks (design §5): an exclusive or shared flock(2) on a file of its own, held for a
// whole verb. The file says who holds it. A lock file may be unlinked by its holder (rm), so after
// locking the inode is compared with the path.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "sys/fd.h"
#include "sys/files.h"

namespace cocoon::sys {

class [[nodiscard]] FileLock {
 public:
  enum class Mode { kShared, kExclusive };

  // Takes the lock at `path` (its directory must exist), waiting at most `wait`. `verb` and our pid
  // are written into the file for the message of those who wait. kBusy names the holder;
  // kInterrupted when the command is cancelled.
  static Result<FileLock> take(const fs::path& path, Mode mode, std::string_view verb,
                               Milliseconds wait);

  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&&) noexcept = default;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock() = default;  // closing the descriptor releases the lock

  // Removes the lock file while holding it: for verbs that remove the locked thing.
  void unlink();

  // For programs that do part of the work (mkfs, qemu-img): while they hold the descriptor the lock
  // is not free, so a free lock proves that the work is over. shim and VMM never get it.
  int fd() const { return fd_.get(); }

 private:
  FileLock(UniqueFd fd, fs::path path) : fd_(std::move(fd)), path_(std::move(path)) {}
  UniqueFd fd_;
  fs::path path_;
};

}  // namespace cocoon::sys
