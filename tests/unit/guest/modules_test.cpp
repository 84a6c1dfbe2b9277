// SPDX-License-Identifier: Apache-2.0
#include "guest/modules.h"

#include <gtest/gtest.h>

namespace cocoon::guest {
namespace {

using Lines = std::vector<ModuleLine>;

struct OrderCase {
  const char* name;
  const char* text;
  Lines lines;
};

class ParseModuleOrder : public testing::TestWithParam<OrderCase> {};

TEST_P(ParseModuleOrder, Parses) {
  EXPECT_EQ(parse_module_order(GetParam().text), GetParam().lines);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ParseModuleOrder,
    testing::Values(OrderCase{"Empty", "", {}},
                    OrderCase{"InOrder", "b.ko\na.ko\n", {{"b.ko", ""}, {"a.ko", ""}}},
                    OrderCase{"NoLastNewline", "a.ko", {{"a.ko", ""}}},
                    OrderCase{"FileSystem", "xor.ko btrfs\n", {{"xor.ko", "btrfs"}}},
                    OrderCase{
                        "BlanksAndComments", "\n  \n# why\n\ta.ko \t xfs  \r\n", {{"a.ko", "xfs"}}},
                    OrderCase{"PathsAreDropped", "../a.ko\n/b.ko\nc.ko\n", {{"c.ko", ""}}}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(MountedFstypes, AreThoseOfTheWritableDisks) {
  BootConfig config;
  config.cow.fstype = "ext4";
  config.mounts.push_back({.disk = {}, .fstype = "xfs", .path = "/data"});
  EXPECT_EQ(mounted_fstypes(config), (std::vector<std::string>{"ext4", "xfs"}));
}

}  // namespace
}  // namespace cocoon::guest
