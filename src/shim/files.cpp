// SPDX-License-Identifier: Apache-2.0
#include "shim/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

namespace cocoon::shim {
namespace {

Outcome read_open_file(int fd, const char* name, std::span<char> buffer, std::size_t& used) {
  used = 0;
  while (used < buffer.size()) {
    const ssize_t size = ::read(fd, buffer.data() + used, buffer.size() - used);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failure_errno(name);
    if (size == 0) return success();
    used += static_cast<std::size_t>(size);
  }
  return failure_errno(name, EFBIG);
}

Outcome write_temporary(int directory, const char* temporary, std::string_view content,
                        Durability durability) {
  // Left by a shim that was killed while it wrote.
  ::unlinkat(directory, temporary, 0);
  UniqueFd file(
      ::openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return failure_errno(temporary);
  if (!write_all(file.get(), content)) return failure_errno(temporary);
  if (durability == Durability::kSynced && ::fsync(file.get()) != 0)
    return failure_errno(temporary);
  return success();
}

}  // namespace

UniqueFd open_directory(const char* path) {
  return UniqueFd(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Outcome read_file_at(int directory, const char* name, std::span<char> buffer, std::size_t& used) {
  const UniqueFd file(::openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.valid()) return failure_errno(name);
  return read_open_file(file.get(), name, buffer, used);
}

Outcome read_private_file_at(int directory, const char* name, std::span<char> buffer,
                             std::size_t& used) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const UniqueFd file(::openat(directory, name, kFlags));
  if (!file.valid()) return failure_errno(name);
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) return failure_errno(name);
  const bool is_private = S_ISREG(facts.st_mode) && facts.st_uid == ::geteuid() &&
                          facts.st_nlink == 1 && (facts.st_mode & 077) == 0;
  if (!is_private) {
    Outcome outcome = failure(name);
    outcome.why.add(": not a private regular file of root");
    return outcome;
  }
  return read_open_file(file.get(), name, buffer, used);
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

Outcome replace_file_at(int directory, const char* temporary, const char* name,
                        std::string_view content, Durability durability) {
  Outcome outcome = write_temporary(directory, temporary, content, durability);
  if (outcome.ok && ::renameat(directory, temporary, directory, name) != 0)
    outcome = failure_errno(name);
  if (!outcome.ok) {
    ::unlinkat(directory, temporary, 0);
    return outcome;
  }
  if (durability == Durability::kSynced && ::fsync(directory) != 0) return failure_errno(name);
  return success();
}

}  // namespace cocoon::shim
