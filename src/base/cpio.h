// SPDX-License-Identifier: Apache-2.0
// Renders a "newc" cpio archive, the form of Linux initramfs archives (kernel documentation,
// driver-api/early-userspace/buffer-format.rst). Pure and deterministic: inode numbers count up,
// times are 0, everything belongs to root.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cocoon {

class CpioArchive {
 public:
  // `name` without a leading slash; parents have to be added first. `mode` holds permission bits.
  void add_directory(std::string_view name, unsigned mode);
  void add_file(std::string_view name, unsigned mode, std::string_view content);
  void add_char_device(std::string_view name, unsigned mode, unsigned major, unsigned minor);
  // The whole archive with its trailer, padded to 4 bytes so that another may follow.
  std::string finish();

 private:
  void add(std::string_view name, unsigned mode, std::string_view content, unsigned major,
           unsigned minor);
  std::string bytes_;
  unsigned next_inode_ = 1;
};

}  // namespace cocoon
