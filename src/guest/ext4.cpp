// SPDX-License-Identifier: Apache-2.0
#include "guest/ext4.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#include <array>

#include "guest/fd.h"

namespace cocoon::guest {
namespace {

// EXT4_IOC_RESIZE_FS of the kernel's fs/ext4/ext4.h, which is in no installed header. The argument
// is the new number of blocks.
#define COCOON_EXT4_IOC_RESIZE_FS _IOW('f', 16, std::uint64_t)

constexpr std::size_t kBlocksLow = 0x4;
constexpr std::size_t kLogBlockSize = 0x18;
constexpr std::size_t kMagic = 0x38;
constexpr std::size_t kIncompat = 0x60;
constexpr std::size_t kBlocksHigh = 0x150;
constexpr std::uint32_t kIncompat64Bit = 0x80;
constexpr std::uint32_t kMaxLogBlockSize = 6;  // 64 KiB

std::uint32_t le32(std::span<const unsigned char> bytes, std::size_t at) {
  return bytes[at] | (std::uint32_t{bytes[at + 1]} << 8) | (std::uint32_t{bytes[at + 2]} << 16) |
         (std::uint32_t{bytes[at + 3]} << 24);
}

}  // namespace

std::optional<Ext4Size> parse_ext4_superblock(std::span<const unsigned char> bytes) {
  if (bytes.size() < kExt4SuperblockBytes) return std::nullopt;
  if (bytes[kMagic] != 0x53 || bytes[kMagic + 1] != 0xef) return std::nullopt;
  const std::uint32_t log_size = le32(bytes, kLogBlockSize);
  if (log_size > kMaxLogBlockSize) return std::nullopt;
  Ext4Size size;
  size.block_bytes = 1024U << log_size;
  size.blocks = le32(bytes, kBlocksLow);
  if ((le32(bytes, kIncompat) & kIncompat64Bit) != 0)
    size.blocks |= std::uint64_t{le32(bytes, kBlocksHigh)} << 32;
  return size;
}

std::optional<std::uint64_t> grown_blocks(const Ext4Size& now, std::uint64_t device_bytes) {
  const std::uint64_t blocks = device_bytes / now.block_bytes;
  if (blocks <= now.blocks) return std::nullopt;
  return blocks;
}

Result<void> grow_ext4(const std::string& device, const std::string& mount_point) {
  const std::string what = "grow " + device;
  const UniqueFd disk(::open(device.c_str(), O_RDONLY | O_CLOEXEC));
  if (!disk) return fail_errno(what);
  std::uint64_t device_bytes = 0;
  if (::ioctl(disk.get(), BLKGETSIZE64, &device_bytes) != 0) return fail_errno(what);
  std::array<unsigned char, kExt4SuperblockBytes> bytes{};
  if (::pread(disk.get(), bytes.data(), bytes.size(), kExt4SuperblockOffset) !=
      static_cast<ssize_t>(bytes.size()))
    return fail_errno(what, "read");
  const auto now = parse_ext4_superblock(bytes);
  if (!now) return fail(what, "not an ext4 superblock");
  auto blocks = grown_blocks(*now, device_bytes);
  if (!blocks) return {};

  const UniqueFd root(::open(mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno(what);
  if (::ioctl(root.get(), COCOON_EXT4_IOC_RESIZE_FS, &*blocks) != 0)
    return fail_errno(what, "resize");
  return {};
}

}  // namespace cocoon::guest
