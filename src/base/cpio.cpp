// SPDX-License-Identifier: Apache-2.0
#include "base/cpio.h"

#include <sys/stat.h>

#include <fmt/format.h>

namespace cocoon {
namespace {

void pad4(std::string& bytes) { bytes.append((4 - bytes.size() % 4) % 4, '\0'); }

}  // namespace

void CpioArchive::add(std::string_view name, unsigned mode, std::string_view content,
                      unsigned major, unsigned minor) {
  // magic ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize
  // check
  bytes_ += fmt::format(
      "070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}"
      "{:08X}{:08X}",
      next_inode_++, mode, 0, 0, 1, 0, content.size(), 0, 0, major, minor, name.size() + 1, 0);
  bytes_ += name;
  bytes_ += '\0';
  pad4(bytes_);
  bytes_ += content;
  pad4(bytes_);
}

void CpioArchive::add_directory(std::string_view name, unsigned mode) {
  add(name, S_IFDIR | mode, {}, 0, 0);
}

void CpioArchive::add_file(std::string_view name, unsigned mode, std::string_view content) {
  add(name, S_IFREG | mode, content, 0, 0);
}

void CpioArchive::add_char_device(std::string_view name, unsigned mode, unsigned major,
                                  unsigned minor) {
  add(name, S_IFCHR | mode, {}, major, minor);
}

std::string CpioArchive::finish() {
  next_inode_ = 0;
  add("TRAILER!!!", 0, {}, 0, 0);
  return std::move(bytes_);
}

}  // namespace cocoon
