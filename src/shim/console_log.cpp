// SPDX-License-Identifier: Apache-2.0
#include "shim/console_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

namespace cocoon::shim {
namespace {

constexpr const char* kName = "console.log";

using FileName = Text<32>;

FileName numbered(unsigned number) {
  FileName name(kName);
  if (number > 0) name.add(".").add_number(number);
  return name;
}

}  // namespace

Outcome ConsoleLog::open_current(int extra_flags) {
  constexpr int kFlags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  file_ = UniqueFd(::openat(directory_, kName, kFlags | extra_flags, 0600));
  if (!file_.valid()) return failure_errno(kName);
  struct stat facts {};
  if (::fstat(file_.get(), &facts) == 0 && S_ISREG(facts.st_mode)) {
    size_ = static_cast<std::uint64_t>(facts.st_size);
    return success();
  }
  file_.reset();
  return failure("console.log: not a regular file");
}

Outcome ConsoleLog::open(int directory, Limits limits) {
  directory_ = directory;
  limits_ = limits;
  // Left by a run that was allowed more files.
  for (unsigned number = limits.files;; ++number) {
    if (::unlinkat(directory_, numbered(number).c_str(), 0) != 0) break;
  }
  return open_current(0);
}

void ConsoleLog::rotate() {
  // Whatever fails here, O_TRUNC below keeps the bound: an old file is lost then, not the console.
  for (unsigned number = limits_.files - 1; number > 0; --number) {
    ::renameat(directory_, numbered(number - 1).c_str(), directory_, numbered(number).c_str());
  }
  static_cast<void>(open_current(O_TRUNC));
}

// Writes a piece of `bytes` and cuts it off; false when nothing could be written.
bool ConsoleLog::write_some(std::string_view& bytes) {
  if (!file_.valid() && !open_current(0).ok) return false;
  if (size_ >= limits_.max_bytes) rotate();
  if (!file_.valid()) return false;
  const std::size_t room = static_cast<std::size_t>(limits_.max_bytes - size_);
  const ssize_t written = ::write(file_.get(), bytes.data(), std::min(bytes.size(), room));
  if (written <= 0) return written < 0 && errno == EINTR;
  size_ += static_cast<std::uint64_t>(written);
  bytes.remove_prefix(static_cast<std::size_t>(written));
  return true;
}

void ConsoleLog::mention_dropped() {
  Text<96> note("\r\n[cocoon: ");
  note.add_number(dropped_).add(" bytes of console output could not be logged]\r\n");
  std::string_view text = note.view();
  if (!write_some(text)) return;
  dropped_ = 0;
  while (!text.empty() && write_some(text)) continue;
}

void ConsoleLog::append(std::string_view bytes) {
  if (dropped_ > 0) mention_dropped();
  if (dropped_ == 0) {
    while (!bytes.empty() && write_some(bytes)) continue;
  }
  dropped_ += bytes.size();
}

void ConsoleLog::replay_tail(std::uint64_t tail, void (*take)(void*, std::string_view),
                             void* context) const {
  if (!file_.valid()) return;
  std::uint64_t offset = size_ > tail ? size_ - tail : 0;
  std::array<char, 4096> buffer;
  while (offset < size_) {
    const ssize_t size =
        ::pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (size <= 0) return;
    take(context, {buffer.data(), static_cast<std::size_t>(size)});
    offset += static_cast<std::uint64_t>(size);
  }
}

}  // namespace cocoon::shim
