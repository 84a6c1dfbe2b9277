// SPDX-License-Identifier: Apache-2.0
#include "guest/ext4.h"

#include <vector>

#include <gtest/gtest.h>

namespace cocoon::guest {
namespace {

std::vector<unsigned char> superblock() {
  std::vector<unsigned char> bytes(kExt4SuperblockBytes);
  bytes[0x4] = 0x00;
  bytes[0x5] = 0x80;  // 32768 blocks
  bytes[0x18] = 2;    // of 4 KiB
  bytes[0x38] = 0x53;
  bytes[0x39] = 0xef;
  return bytes;
}

TEST(ParseExt4Superblock, ReadsTheSize) {
  EXPECT_EQ(parse_ext4_superblock(superblock()), (Ext4Size{.blocks = 32768, .block_bytes = 4096}));
}

TEST(ParseExt4Superblock, UsesTheUpperHalfOnlyWith64Bit) {
  auto bytes = superblock();
  bytes[0x150] = 1;
  EXPECT_EQ(parse_ext4_superblock(bytes)->blocks, 32768U);
  bytes[0x60] = 0x80;
  EXPECT_EQ(parse_ext4_superblock(bytes)->blocks, (std::uint64_t{1} << 32) + 32768);
}

TEST(ParseExt4Superblock, RefusesOthers) {
  EXPECT_FALSE(parse_ext4_superblock({}));
  EXPECT_FALSE(parse_ext4_superblock(std::vector<unsigned char>(kExt4SuperblockBytes)));
  auto bytes = superblock();
  bytes[0x18] = 7;
  EXPECT_FALSE(parse_ext4_superblock(bytes));
  bytes[0x18] = 40;
  EXPECT_FALSE(parse_ext4_superblock(bytes));
  bytes = superblock();
  bytes.pop_back();
  EXPECT_FALSE(parse_ext4_superblock(bytes));
}

TEST(GrownBlocks, OnlyGrows) {
  const Ext4Size now{.blocks = 100, .block_bytes = 4096};
  EXPECT_EQ(grown_blocks(now, 200 * 4096 + 4095), 200U);
  EXPECT_EQ(grown_blocks(now, 100 * 4096 + 4095), std::nullopt);
  EXPECT_EQ(grown_blocks(now, 50 * 4096), std::nullopt);
}

}  // namespace
}  // namespace cocoon::guest
