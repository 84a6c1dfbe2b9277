// SPDX-License-Identifier: Apache-2.0
#include "shim/vmm_log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>

#include "shim/printable.h"

namespace cocoon::shim {
namespace {

std::uint64_t size_of(int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0 || facts.st_size < 0) return 0;
  return static_cast<std::uint64_t>(facts.st_size);
}

}  // namespace

UniqueFd VmmLog::open_checked(int directory, uid_t uid) {
  constexpr int kFlags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  UniqueFd file(::openat(directory, kName, kFlags));
  struct stat facts {};
  if (!file.valid() || ::fstat(file.get(), &facts) != 0) return {};
  if (!S_ISREG(facts.st_mode) || facts.st_uid != uid || facts.st_nlink != 1) return {};
  return file;
}

Outcome VmmLog::open_for_launch(int directory, uid_t uid, gid_t gid, std::uint64_t limit) {
  limit_ = limit;
  file_ = open_checked(directory, uid);
  if (!file_.valid()) {
    ::unlinkat(directory, kName, 0);
    constexpr int kFlags = O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    file_ = UniqueFd(::openat(directory, kName, kFlags, 0600));
    if (!file_.valid()) return failure_errno("create vmm.log");
    if (::fchown(file_.get(), uid, gid) != 0) return failure_errno("give vmm.log to the VMM");
  }
  start_ = last_size_ = size_of(file_.get());
  return success();
}

void VmmLog::open_existing(int directory, uid_t uid, std::uint64_t limit) {
  limit_ = limit;
  file_ = open_checked(directory, uid);
  if (file_.valid()) last_size_ = size_of(file_.get());
}

Outcome VmmLog::open_for_vmm(int directory, UniqueFd& fd) const {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
  fd = UniqueFd(::openat(directory, kName, kFlags));
  return fd.valid() ? success() : failure_errno("open vmm.log");
}

std::uint64_t VmmLog::keep_below_limit() {
  if (!file_.valid()) return 0;
  const std::uint64_t size = size_of(file_.get());
  const std::uint64_t grown = size > last_size_ ? size - last_size_ : 0;
  last_size_ = size;
  if (size > limit_ && ::ftruncate(file_.get(), 0) == 0) {
    last_size_ = 0;
    start_ = 0;
  }
  return grown;
}

Text<400> VmmLog::last_line() const {
  if (!file_.valid()) return {};
  const std::uint64_t size = size_of(file_.get());
  std::array<char, 4096> buffer;
  std::uint64_t from = size > buffer.size() ? size - buffer.size() : 0;
  if (from < start_ && start_ <= size) from = start_;
  const ssize_t got = ::pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(from));
  std::string_view rest(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  Text<400> last;
  while (!rest.empty()) {
    const std::string_view line = take_until(rest, '\n');
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    last.clear();
    add_printable(last, line);
  }
  return last;
}

}  // namespace cocoon::shim
