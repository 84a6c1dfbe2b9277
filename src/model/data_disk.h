// SPDX-License-Identifier: Apache-2.0
// `--data-disk`: what a user asks for, before it becomes a disk of a VM (spec 01 §8).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/disk.h"

namespace cocoon::model {

// The least size of a data disk, and of those whose mkfs needs more: xfsprogs 6.1 refuses less than
// 300 MiB, btrfs-progs 6.2 less than 109 MiB.
inline constexpr std::int64_t kMinDataDisk = std::int64_t{16} << 20;
inline constexpr std::int64_t kMinXfsDisk = std::int64_t{300} << 20;
inline constexpr std::int64_t kMinBtrfsDisk = std::int64_t{109} << 20;

struct DataDiskSpec {
  std::int64_t size = 0;  // bytes
  std::string name;       // the serial; empty: data1, data2…
  std::string fstype;     // empty: ext4
  // Not given: /mnt/<name>, unless fstype is none. Given and empty: not mounted.
  std::optional<std::string> mount;
  std::optional<bool> direct_io;  // unset: the VM's default
  bool operator==(const DataDiskSpec&) const = default;
};

// One flag: key=value[,key=value...] with size (required), name, fstype, mount, directio. There is
// no escaping; of a key that is given twice the last counts. kInvalid naming key and value.
Result<DataDiskSpec> parse_data_disk(std::string_view text);

// Fills in what was left out, for all disks together that a VM gets and in their order (spec 01
// §8.2); afterwards name, fstype and mount are set. `others`: the disks that it has. kInvalid: a
// name or mount point twice, fstype none with a mount, a mount point that cannot be, a size below
// the file system's least. kConflict ("… already exists"): the name or the mount point is that of
// one of the others.
Result<std::vector<DataDiskSpec>> complete_data_disks(std::vector<DataDiskSpec> specs,
                                                      const std::vector<Disk>& others = {});

// The record's entry for a complete spec; its file is data-<name>.raw.
Disk data_disk(const DataDiskSpec& spec);

}  // namespace cocoon::model
