// SPDX-License-Identifier: Apache-2.0
#include "engine/boot_json.h"

#include <gtest/gtest.h>

namespace cocoon::engine {
namespace {

model::Disk disk(model::DiskRole role, const std::string& serial) {
  model::Disk out;
  out.role = role;
  out.serial = serial;
  return out;
}

TEST(BootJson, NamesEveryDiskBySerialAndPlace) {
  model::Vm vm;
  vm.id = "ID";
  vm.config.name = "web";
  vm.nonce = "n0";
  vm.run = {false, {"/bin/sh", "-c", "x"}, {"A=1"}, "/w", "u"};
  vm.disks = {disk(model::DiskRole::kLayer, layer_serial(0)),
              disk(model::DiskRole::kLayer, layer_serial(1)),
              disk(model::DiskRole::kLayer, kModulesSerial),
              disk(model::DiskRole::kCow, kCowSerial), disk(model::DiskRole::kData, "db")};
  vm.disks[4].fstype = "ext4";
  vm.disks[4].mount_point = "/mnt/db";
  auto json = nlohmann::json::parse(render_boot_json(vm, "6.1.0", {"8.8.8.8"}));
  EXPECT_EQ(json["layers"].dump(),
            R"([{"index":0,"serial":"cocoon-layer0"},{"index":1,"serial":"cocoon-layer1"}])");
  EXPECT_EQ(json["modules"].dump(), R"({"index":2,"serial":"cocoon-modules","version":"6.1.0"})");
  EXPECT_EQ(json["cow"].dump(), R"({"fstype":"ext4","index":3,"serial":"cocoon-cow"})");
  EXPECT_EQ(json["mounts"].dump(),
            R"([{"fstype":"ext4","index":4,"mount":"/mnt/db","serial":"db"}])");
  EXPECT_EQ(
      json["run"].dump(),
      R"({"argv":["/bin/sh","-c","x"],"env":["A=1"],"mode":"exec","user":"u","workdir":"/w"})");
  EXPECT_EQ(json["nonce"], "n0");
  EXPECT_EQ(json["hostname"], "web");
  EXPECT_EQ(json["dns"].dump(), R"(["8.8.8.8"])");
}

TEST(BootJson, UnmountedDataDisksAreNotMentioned) {
  model::Vm vm;
  vm.disks = {disk(model::DiskRole::kCow, kCowSerial), disk(model::DiskRole::kData, "raw")};
  vm.disks[1].fstype = "none";
  auto json = nlohmann::json::parse(render_boot_json(vm, "", {}));
  EXPECT_TRUE(json["mounts"].empty());
  EXPECT_FALSE(json.contains("modules"));
}

TEST(BootJson, DescribesNics) {
  model::Vm vm;
  model::Nic fixed;
  fixed.mac = "0a:58:0a:58:00:0c";
  fixed.mtu = 9000;
  fixed.network = model::NicAddress{"10.88.0.12", "10.88.0.1", 16};
  fixed.routes = {{"172.16.0.0/12", "10.88.0.9"}};
  fixed.dns = {"10.88.0.53", "8.8.8.8"};
  model::Nic dhcp;
  dhcp.mac = "0a:58:0a:58:00:0d";
  dhcp.dns = {"8.8.8.8", "1.1.1.1"};
  vm.nics = {fixed, dhcp};
  auto json = nlohmann::json::parse(render_boot_json(vm, "", {"9.9.9.9"}));
  EXPECT_EQ(json["nics"][0], nlohmann::json::parse(R"({"mac":"0a:58:0a:58:00:0c","mtu":9000,
    "address":"10.88.0.12","prefix":16,"gateway":"10.88.0.1",
    "routes":[{"address":"172.16.0.0","prefix":12,"gateway":"10.88.0.9"}]})"));
  EXPECT_EQ(json["nics"][1], nlohmann::json::parse(R"({"mac":"0a:58:0a:58:00:0d"})"));
  EXPECT_EQ(json["dns"].dump(), R"(["10.88.0.53","8.8.8.8","1.1.1.1"])");
}

}  // namespace
}  // namespace cocoon::engine
