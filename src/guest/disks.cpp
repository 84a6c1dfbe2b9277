// SPDX-License-Identifier: Apache-2.0
#include "guest/disks.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace cocoon::guest {
namespace {

constexpr std::size_t kSerialBytes = 20;  // VIRTIO_BLK_ID_BYTES: longer serials arrive cut off
constexpr unsigned kDefaultTimeout = 10;
constexpr unsigned kMaxTimeout = 3600;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

std::string_view trim_right(std::string_view text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
}

bool has_own_serial(const SeenDisk& disk) {
  return disk.serial.find_first_not_of("0123456789") != std::string::npos;
}

bool is_block_device(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode);
}

}  // namespace

std::string virtio_disk_name(unsigned index) {
  std::string letters;
  for (unsigned rest = index + 1; rest > 0; rest = (rest - 1) / 26)
    letters.insert(letters.begin(), static_cast<char>('a' + (rest - 1) % 26));
  return "vd" + letters;
}

std::string choose_disk(const std::vector<SeenDisk>& seen, const DiskRef& wanted) {
  const std::string_view serial = std::string_view(wanted.serial).substr(0, kSerialBytes);
  for (const SeenDisk& disk : seen) {
    if (disk.serial == serial) return disk.name;
  }
  std::string name = virtio_disk_name(wanted.index);
  for (const SeenDisk& disk : seen) {
    if (disk.name == name && !has_own_serial(disk)) return name;
  }
  return {};
}

std::vector<SeenDisk> DiskFinder::scan() const {
  std::vector<SeenDisk> seen;
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(sys_block_.c_str()));
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (!name.starts_with("vd")) continue;
    const auto serial = read_file((sys_block_ + "/" + name + "/serial").c_str(), 4096);
    seen.push_back({name, serial ? std::string(trim_right(*serial)) : std::string()});
  }
  return seen;
}

Result<std::string> DiskFinder::find(const DiskRef& wanted, const std::string& what,
                                     Deadline deadline) const {
  for (;;) {
    const std::string name = choose_disk(scan(), wanted);
    std::string path = dev_ + "/" + name;
    if (!name.empty() && is_block_device(path)) return path;
    if (deadline.passed()) return fail(what, "no such disk");
    pause_for(std::chrono::milliseconds(20));
  }
}

unsigned disk_timeout(std::string_view kernel_command_line) {
  constexpr std::string_view kKey = "cocoon.timeout=";
  unsigned timeout = kDefaultTimeout;
  while (!kernel_command_line.empty()) {
    const std::size_t end = kernel_command_line.find_first_of(" \t\n");
    const std::string_view word = kernel_command_line.substr(0, end);
    kernel_command_line.remove_prefix(end == std::string_view::npos ? kernel_command_line.size()
                                                                    : end + 1);
    if (!word.starts_with(kKey)) continue;
    const std::string_view number = word.substr(kKey.size());
    unsigned value = 0;
    const auto [rest, error] = std::from_chars(number.begin(), number.end(), value);
    const bool whole = error == std::errc() && rest == number.end();
    timeout = whole ? std::min(value, kMaxTimeout) : kDefaultTimeout;
  }
  return timeout;
}

}  // namespace cocoon::guest
