// SPDX-License-Identifier: Apache-2.0
#include "shim/halt_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "shim/files.h"
#include "shim/text.h"

namespace cocoon::shim {
namespace {

constexpr unsigned kMaxThreads = 4096;

std::optional<std::uint64_t> thread_switches(int tasks, const char* thread) {
  Text<64> name(thread);
  name.add("/status");
  std::array<char, 4096> buffer{};
  std::size_t used = 0;
  if (!read_file_at(tasks, name.c_str(), buffer, used).ok) return std::nullopt;
  return parse_context_switches({buffer.data(), used});
}

// Adds up the threads of one chunk of directory entries, as getdents64(2) lays them out.
bool add_threads(int tasks, const char* entries, long size, std::uint64_t& total, unsigned& seen) {
  for (long at = 0; at < size;) {
    std::uint16_t length = 0;
    std::memcpy(&length, entries + at + offsetof(dirent64, d_reclen), sizeof length);
    const char* const name = entries + at + offsetof(dirent64, d_name);
    at += length;
    if (name[0] == '.') continue;
    const std::optional<std::uint64_t> switches = thread_switches(tasks, name);
    if (!switches || ++seen > kMaxThreads) return false;
    total += *switches;
  }
  return true;
}

}  // namespace

std::optional<std::uint64_t> parse_context_switches(std::string_view status) {
  std::uint64_t total = 0;
  int found = 0;
  while (!status.empty()) {
    std::string_view line = take_until(status, '\n');
    const std::string_view name = take_until(line, ':');
    if (name == "Name" && line.starts_with("\tiou-wrk-")) return 0;
    if (name != "voluntary_ctxt_switches" && name != "nonvoluntary_ctxt_switches") continue;
    while (line.starts_with('\t') || line.starts_with(' ')) line.remove_prefix(1);
    std::uint64_t count = 0;
    if (!parse_number(line, count)) return std::nullopt;
    total += count;
    ++found;
  }
  if (found != 2) return std::nullopt;
  return total;
}

std::optional<std::uint64_t> count_context_switches(pid_t pid) {
  Text<64> path("/proc/");
  path.add_number(pid).add("/task");
  const UniqueFd tasks = open_directory(path.c_str());
  if (!tasks.valid()) return std::nullopt;
  std::array<char, 4096> entries;
  std::uint64_t total = 0;
  unsigned seen = 0;
  // opendir(3) would take memory from the heap, which the shim does not have.
  while (true) {
    const long size = ::syscall(SYS_getdents64, tasks.get(), entries.data(), entries.size());
    if (size < 0) return std::nullopt;
    if (size == 0) break;
    if (!add_threads(tasks.get(), entries.data(), size, total, seen)) return std::nullopt;
  }
  if (seen == 0) return std::nullopt;
  return total;
}

bool HaltWatch::is_over(long long now, std::optional<std::uint64_t> switches) {
  if (!switches || switches != last_) {
    last_ = switches;
    since_ = now;
    return false;
  }
  return now - since_ >= kStillness;
}

}  // namespace cocoon::shim
