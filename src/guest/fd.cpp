// SPDX-License-Identifier: Apache-2.0
#include "guest/fd.h"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>

namespace cocoon::guest {

std::chrono::milliseconds Deadline::left() const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now());
  return std::max(left, std::chrono::milliseconds{0});
}

void pause_for(std::chrono::milliseconds time) {
  timespec left{.tv_sec = time.count() / 1000, .tv_nsec = time.count() % 1000 * 1'000'000};
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

Result<std::string> read_file_at(int dir, const char* path, std::size_t limit, int flags) {
  const UniqueFd fd(::openat(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags));
  if (!fd) return fail_errno(path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(path, "stat");
  if (!S_ISREG(status.st_mode)) return fail(path, "not a regular file");

  std::string text;
  std::string chunk(std::min<std::size_t>(limit + 1, 64 * 1024), '\0');
  for (;;) {
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(path, "read");
    if (got == 0) return text;
    text.append(chunk, 0, static_cast<std::size_t>(got));
    if (text.size() > limit) return fail(path, "larger than " + std::to_string(limit) + " bytes");
  }
}

Result<std::string> read_file(const char* path, std::size_t limit) {
  return read_file_at(AT_FDCWD, path, limit);
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

}  // namespace cocoon::guest
