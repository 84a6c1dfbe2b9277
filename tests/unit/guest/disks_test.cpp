// SPDX-License-Identifier: Apache-2.0
#include "guest/disks.h"

#include <gtest/gtest.h>

namespace cocoon::guest {
namespace {

struct NameCase {
  unsigned index;
  const char* name;
};

class VirtioDiskName : public testing::TestWithParam<NameCase> {};

TEST_P(VirtioDiskName, FollowsTheKernel) {
  EXPECT_EQ(virtio_disk_name(GetParam().index), GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(Cases, VirtioDiskName,
                         testing::Values(NameCase{0, "vda"}, NameCase{1, "vdb"},
                                         NameCase{25, "vdz"}, NameCase{26, "vdaa"},
                                         NameCase{27, "vdab"}, NameCase{51, "vdaz"},
                                         NameCase{52, "vdba"}, NameCase{701, "vdzz"},
                                         NameCase{702, "vdaaa"}),
                         [](const auto& p) { return std::string(p.param.name); });

struct ChooseCase {
  const char* name;
  std::vector<SeenDisk> seen;
  DiskRef wanted;
  const char* chosen;
};

class ChooseDisk : public testing::TestWithParam<ChooseCase> {};

TEST_P(ChooseDisk, Chooses) {
  EXPECT_EQ(choose_disk(GetParam().seen, GetParam().wanted), GetParam().chosen);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ChooseDisk,
    testing::Values(
        ChooseCase{"NoDisks", {}, {"cocoon-cow", 0}, ""},
        ChooseCase{"BySerialWhateverThePlace",
                   {{"vda", "cocoon-layer0"}, {"vdb", "cocoon-cow"}},
                   {"cocoon-cow", 0},
                   "vdb"},
        ChooseCase{"NeverADiskWithAnotherSerial", {{"vda", "other"}}, {"cocoon-cow", 0}, ""},
        ChooseCase{"ByPlaceWithoutSerials", {{"vda", ""}, {"vdb", ""}}, {"cocoon-cow", 1}, "vdb"},
        ChooseCase{"ByPlaceWithMadeUpNumbers",
                   {{"vda", "6528001234567"}, {"vdb", "6528001234568"}},
                   {"cocoon-cow", 1},
                   "vdb"},
        ChooseCase{
            "SerialBeforePlace", {{"vda", ""}, {"vdb", "cocoon-cow"}}, {"cocoon-cow", 0}, "vdb"},
        ChooseCase{"SerialIsCutAtTwentyBytes",
                   {{"vda", "cocoon-data-abcdefgh"}},
                   {"cocoon-data-abcdefghijkl", 7},
                   "vda"},
        ChooseCase{"PlaceNotThere", {{"vda", ""}}, {"cocoon-cow", 3}, ""}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(DiskTimeout, ComesFromTheKernelCommandLine) {
  EXPECT_EQ(disk_timeout(""), 10U);
  EXPECT_EQ(disk_timeout("console=ttyS0 cocoon.timeout=3 quiet\n"), 3U);
  EXPECT_EQ(disk_timeout("cocoon.timeout=0"), 0U);
  EXPECT_EQ(disk_timeout("cocoon.timeout=soon"), 10U);
  EXPECT_EQ(disk_timeout("cocoon.timeout=5s"), 10U);
  EXPECT_EQ(disk_timeout("cocoon.timeout="), 10U);
  EXPECT_EQ(disk_timeout("cocoon.timeout=-1"), 10U);
  EXPECT_EQ(disk_timeout("xcocoon.timeout=3"), 10U);
  EXPECT_EQ(disk_timeout("cocoon.timeout=99999"), 3600U);
  EXPECT_EQ(disk_timeout("cocoon.timeout=99999999999999999999"), 10U);
}

TEST(DiskFinder, GivesUpAtTheDeadline) {
  const DiskFinder finder("/nonexistent", "/nonexistent");
  const auto found = finder.find({"cocoon-cow", 0}, "COW disk (cocoon-cow)",
                                 Deadline(std::chrono::milliseconds(50)));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().text(), "COW disk (cocoon-cow): no such disk");
}

}  // namespace
}  // namespace cocoon::guest
