// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "image/acquire/erofs.h"

namespace cocoon::image {
namespace {

const char* const kHelp15 =
    "mkfs.erofs 1.5\nusage: [options] FILE DIRECTORY\n -zX[,Y]  X=compressor\n"
    "Available compressors are: lz4hc, lz4\n";

std::string help(const std::string& version) {
  return "mkfs.erofs (erofs-utils) " + version +
         "\n -b#  set block size\n --tar=X generate from tar\n --aufs replace aufs files\n"
         " --mkfs-time\nAvailable compressors: lz4, lz4hc, zstd\n";
}

TEST(ErofsHelp, OldOnesAreStaged) {
  auto tool = parse_erofs_help(kHelp15, "lz4hc");
  ASSERT_TRUE(tool);
  EXPECT_EQ(tool->version, "1.5");
  EXPECT_FALSE(tool->has_tar);
  EXPECT_FALSE(tool->has_mkfs_time);
  EXPECT_FALSE(tool->has_block_size);
  EXPECT_EQ(tool->staged_id(), "staged1-lz4hc");
}

TEST(ErofsHelp, TarOnlyWhereItIsSound) {
  EXPECT_TRUE(parse_erofs_help(help("1.8.9"), "lz4")->has_tar);
  EXPECT_TRUE(parse_erofs_help(help("1.8.10"), "lz4")->has_tar);
  EXPECT_TRUE(parse_erofs_help(help("1.9"), "lz4")->has_tar);
  EXPECT_FALSE(parse_erofs_help(help("1.8.8"), "lz4")->has_tar);
  EXPECT_FALSE(parse_erofs_help(help("1.7.1"), "lz4")->has_tar);
  EXPECT_EQ(parse_erofs_help(help("1.9.3-dirty"), "zstd")->staged_id(), "staged2-zstd");
}

TEST(ErofsHelp, CompressionMustBeKnown) {
  EXPECT_EQ(parse_erofs_help(kHelp15, "lz4hc,3")->staged_id(), "staged1-lz4hc.3");
  EXPECT_EQ(parse_erofs_help(kHelp15, "none")->staged_id(), "staged1-none");
  for (const char* bad : {"zstd", "", "lz4hc; rm", "--help", "FILE"}) {
    auto tool = parse_erofs_help(kHelp15, bad);
    ASSERT_FALSE(tool) << bad;
    EXPECT_EQ(tool.error().kind, ErrorKind::kInvalid);
  }
}

}  // namespace
}  // namespace cocoon::image
