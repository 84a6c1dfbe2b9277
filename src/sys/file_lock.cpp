// SPDX-License-Identifier: Apache-2.0
#include "sys/file_lock.h"

#include <poll.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "sys/cancel.h"

namespace cocoon::sys {
namespace {

// Does the path still name the locked inode?
bool same_file(int fd, const fs::path& path) {
  struct stat held {};
  struct stat named {};
  return fstat(fd, &held) == 0 && stat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

Failure busy(const fs::path& path) {
  auto holder = read_file(path, 256);
  std::string who = holder ? std::string(trim(*holder)) : "";
  return fail(ErrorKind::kBusy, "busy: held by {}", who.empty() ? "another command" : who);
}

// One try: a held lock, or none when somebody else has it.
Result<UniqueFd> try_lock(const fs::path& path, int operation) {
  while (true) {
    UniqueFd fd = COCOON_TRY(open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    if (flock(fd.get(), operation | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return UniqueFd();
      if (errno != EINTR) return fail_errno(fmt::format("lock {}", path.native()));
      continue;
    }
    if (same_file(fd.get(), path)) return fd;
  }
}

}  // namespace

Result<FileLock> FileLock::take(const fs::path& path, Mode mode, std::string_view verb,
                                Milliseconds wait) {
  int operation = mode == Mode::kShared ? LOCK_SH : LOCK_EX;
  Deadline deadline = deadline_in(wait);
  Milliseconds pause(1);
  while (true) {
    UniqueFd fd = COCOON_TRY(try_lock(path, operation));
    if (fd.valid()) {
      if (mode == Mode::kExclusive) {
        std::string text = fmt::format("{} (pid {})\n", verb, getpid());
        // Only for messages; a full disk must not stop an rm.
        if (ftruncate(fd.get(), 0) == 0) ignore(write_all(fd.get(), text), "lock owner text");
      }
      return FileLock(std::move(fd), path);
    }
    if (time_left(deadline).count() == 0) return busy(path);
    COCOON_TRY(check_cancelled());
    // flock(2) has no timeout: sleep in short steps, woken at once by a signal.
    pollfd entry{cancel_fd(), POLLIN, 0};
    poll(&entry, 1, static_cast<int>(std::min(pause, time_left(deadline)).count()));
    pause = std::min(pause * 2, Milliseconds(20));
  }
}

void FileLock::unlink() { ::unlink(path_.c_str()); }

}  // namespace cocoon::sys
