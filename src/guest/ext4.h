// SPDX-License-Identifier: Apache-2.0
//
// Growing an ext4 of ours to its device, so that a disk enlarged on the host is larger inside too.
// The host never touches a file system that a guest has written.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "guest/result.h"

namespace cocoon::guest {

/// Bytes of an ext4 superblock that are looked at; it begins 1024 bytes into the device.
inline constexpr std::size_t kExt4SuperblockBytes = 1024;
inline constexpr std::uint64_t kExt4SuperblockOffset = 1024;

struct Ext4Size {
  std::uint64_t blocks = 0;
  std::uint32_t block_bytes = 0;

  bool operator==(const Ext4Size&) const = default;
};

/// The size that a superblock states; nothing if this is no ext4 superblock. Layout: the kernel's
/// Documentation/filesystems/ext4/super.rst.
std::optional<Ext4Size> parse_ext4_superblock(std::span<const unsigned char> bytes);

/// Blocks the file system can have on a device of this size, if more than it has now.
std::optional<std::uint64_t> grown_blocks(const Ext4Size& now, std::uint64_t device_bytes);

/// Grows the mounted ext4 at `mount_point` to the size of `device`; nothing to do is success.
Result<void> grow_ext4(const std::string& device, const std::string& mount_point);

}  // namespace cocoon::guest
