// SPDX-License-Identifier: Apache-2.0
// Raw disks of a VM: its root disk and its data disks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace cocoon::disk {

struct RawDisk {
  std::filesystem::path path;  // must not exist
  std::int64_t bytes = 0;
  std::string_view fstype = "ext4";  // ext4, xfs, btrfs, or none: left unformatted
  // Descriptor of the VM's operation lock: mkfs inherits it, so that a free lock proves that nobody
  // writes here any more (design §5). -1: none.
  int lock_fd = -1;
};

// Makes a sparse file of that size, mode 0600, and formats it with the file system's own mkfs (a
// formatted template, copied and given a UUID of its own, was measured and is not faster). On
// failure the file may be left: it belongs to a VM whose directory the caller removes. kConflict:
// the file exists. kUnsupported naming the package when mkfs is not installed. kSystem: no space
// left, or what mkfs said.
Result<void> make_raw_disk(const RawDisk& disk);

}  // namespace cocoon::disk
