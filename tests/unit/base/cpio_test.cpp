// SPDX-License-Identifier: Apache-2.0
#include "base/cpio.h"

#include <gtest/gtest.h>

namespace cocoon {
namespace {

TEST(Cpio, RendersNewcEntries) {
  CpioArchive archive;
  archive.add_directory("cocoon", 0700);
  archive.add_file("cocoon/boot.json", 0400, "{}");
  std::string bytes = archive.finish();
  EXPECT_EQ(bytes.size() % 4, 0U);
  EXPECT_EQ(bytes.substr(0, 6), "070701");
  EXPECT_EQ(bytes.substr(14, 8), "000041C0");  // directory, 0700
  // Header 110 + "cocoon\0" = 117, padded to 120: the next entry.
  EXPECT_EQ(bytes.substr(120, 6), "070701");
  EXPECT_EQ(bytes.substr(120 + 14, 8), "00008100");  // regular file, 0400
  EXPECT_EQ(bytes.substr(120 + 54, 8), "00000002");  // size
  // 110 + 17 = 127, padded to 128: the content.
  EXPECT_EQ(bytes.substr(120 + 128, 2), "{}");
  EXPECT_NE(bytes.find("TRAILER!!!"), std::string::npos);
}

TEST(Cpio, IsDeterministic) {
  auto render = [] {
    CpioArchive archive;
    archive.add_file("a", 0600, "x");
    return archive.finish();
  };
  EXPECT_EQ(render(), render());
}

}  // namespace
}  // namespace cocoon
