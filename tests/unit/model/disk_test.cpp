// SPDX-License-Identifier: Apache-2.0
#include "model/disk.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace cocoon::model {
namespace {

Disk layer() {
  Disk disk;
  disk.path = "layer0.erofs";
  disk.read_only = true;
  disk.serial = "cocoon-layer0";
  disk.role = DiskRole::kLayer;
  return disk;
}
Disk cow() {
  Disk disk;
  disk.path = "cow.raw";
  disk.serial = "cocoon-cow";
  disk.role = DiskRole::kCow;
  return disk;
}
Disk data(const std::string& name) {
  Disk disk;
  disk.path = "data-" + name + ".raw";
  disk.serial = name;
  disk.fstype = "ext4";
  disk.mount_point = "/mnt/" + name;
  return disk;
}

template <class Change>
Disk with(Disk disk, Change change) {
  change(disk);
  return disk;
}

TEST(ValidateDisks, AcceptsAGoodList) {
  EXPECT_TRUE(validate_disks({layer(), cow(), data("db")}));
  EXPECT_TRUE(validate_disks({}));
}

TEST(ValidateDisks, RefusesBrokenInvariants) {
  const std::vector<std::vector<Disk>> bad{
      {layer()},  // no cow
      {layer(), cow(),
       with(cow(),
            [](Disk& d) {
              d.path = "b";
              d.serial = "b";
            })},
      {with(layer(), [](Disk& d) { d.read_only = false; }), cow()},
      {layer(), with(cow(), [](Disk& d) { d.read_only = true; })},
      {layer(), with(cow(), [](Disk& d) { d.direct_io = true; })},
      {layer(), cow(), with(data("db"), [](Disk& d) { d.fstype = ""; })},
      {layer(), cow(), with(data("db"), [](Disk& d) { d.fstype = "none"; })},
      {layer(), cow(), with(data("db"), [](Disk& d) { d.mount_point = "mnt"; })},
      {layer(), cow(), with(data("db"), [](Disk& d) { d.mount_point = "/a\nb"; })},
      {layer(), cow(), with(data("db"), [](Disk& d) { d.serial = "cocoon-x"; })},
      {layer(), cow(), with(data("db"), [](Disk& d) { d.path = "../x"; })},
      {layer(), cow(), data("db"), with(data("db"), [](Disk& d) { d.path = "y"; })},
      {layer(), cow(), data("a"), with(data("b"), [](Disk& d) { d.mount_point = "/mnt/a"; })},
      {with(layer(), [](Disk& d) { d.serial = std::string(21, 'x'); }), cow()},
      {layer(),
       with(layer(),
            [](Disk& d) {
              d.role = DiskRole::kCidata;
              d.path = "c";
              d.serial = "";
            }),
       cow()},
  };
  for (std::size_t i = 0; i < bad.size(); ++i) {
    auto result = validate_disks(bad[i]);
    ASSERT_FALSE(result) << "list " << i;
    EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
  }
}

TEST(Disk, GoesThroughJsonUnchanged) {
  Disk disk = data("db");
  disk.direct_io = false;
  nlohmann::json json = disk;
  EXPECT_EQ(json["role"], "data");
  auto back = parse_disk(json);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, disk);
}

TEST(Disk, RefusesForeignJson) {
  EXPECT_FALSE(parse_disk(nlohmann::json::array()));
  EXPECT_FALSE(parse_disk({{"role", "boot"}, {"path", "x"}}));
  EXPECT_FALSE(parse_disk({{"path", 7}, {"role", "cow"}}));
  EXPECT_FALSE(parse_disk({{"path", "x"}}));  // no role
}

}  // namespace
}  // namespace cocoon::model
