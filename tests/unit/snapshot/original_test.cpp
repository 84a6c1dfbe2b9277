// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/original.h"

#include <functional>

#include <gtest/gtest.h>

namespace cocoon::snapshot {
namespace {

using nlohmann::json;

const std::string kRun = "/srv/cocoon/run/cloudhypervisor/AAAAAAAAAAAAAAAAAAAAAAAAAA";
const std::string kLower(64, 'a');
const std::string kUpper(64, 'b');

std::string blob(const std::string& digest) { return "/srv/cocoon/oci/blobs/" + digest + ".erofs"; }

json disk(const char* role, const std::string& path, bool read_only, const char* serial) {
  return {{"path", path}, {"ro", read_only}, {"serial", serial}, {"role", role}};
}

json container_sidecar() {
  json data = disk("data", kRun + "/data-db.raw", false, "db");
  data["mount_point"] = "/mnt/db";
  data["fstype"] = "ext4";
  data["direct_io"] = true;
  return {{"storage_configs",
           {disk("layer", blob(kLower), true, "cocoon-layer0"),
            disk("layer", blob(kUpper), true, "cocoon-layer1"),
            disk("cow", kRun + "/cow.raw", false, "cocoon-cow"), data}},
          {"boot_config",
           {{"kernel_path", "/srv/cocoon/oci/boot/" + kUpper + "/vmlinuz"},
            {"initrd_path", "/srv/cocoon/oci/boot/" + kUpper + "/initrd.img"},
            {"cmdline", "console=hvc0"}}}};
}

json container_config() {
  return {{"cpu", 2},
          {"memory", 1 << 30},
          {"storage", 10'737'418'240},
          {"image", "ubuntu:24.04"},
          {"image_digest", "sha256:" + kLower},
          {"image_type", "oci"},
          {"id", "A"},
          {"name", "base:1"},
          {"image_blob_ids", {{kLower, json::object()}, {kUpper, json::object()}}},
          {"hypervisor", "cloud-hypervisor"},
          {"nics", 1}};
}

json cloud_sidecar() {
  return {{"storage_configs",
           {disk("cow", kRun + "/overlay.qcow2", false, ""),
            disk("cidata", kRun + "/cidata.img", true, "")}},
          {"boot_config", {{"firmware_path", "/srv/cocoon/firmware/CLOUDHV.fd"}}}};
}

json cloud_config() {
  json config = container_config();
  config["image_type"] = "cloudimg";
  config["image_blob_ids"] = {{kLower, json::object()}};
  return config;
}

Result<OriginalGuest> parse(const json& config, const json& sidecar) {
  return parse_original(Envelope{"base:1", "as it was", config}, sidecar);
}

TEST(Original, AContainersGuest) {
  auto guest = parse(container_config(), container_sidecar());
  ASSERT_TRUE(guest) << guest.error().to_string();
  const model::Vm& vm = guest->snapshot.vm;
  EXPECT_EQ(guest->snapshot.name, "base:1");
  EXPECT_EQ(vm.config.cpu, 2);
  EXPECT_EQ(guest->nics, 1);
  std::vector<std::string> names;
  for (const model::Disk& one : vm.disks) names.push_back(one.path);
  EXPECT_EQ(names,
            (std::vector<std::string>{"layer0.erofs", "layer1.erofs", "cow.raw", "data-db.raw"}));
  EXPECT_EQ(vm.disks[3].direct_io, true);
  EXPECT_EQ(guest->paths[2], kRun + "/cow.raw");
  EXPECT_EQ(guest->layers[1], (OriginalBlob{blob(kUpper), kUpper}));
  EXPECT_EQ(guest->kernel.digest, kUpper);
  EXPECT_EQ(vm.boot.kernel, "kernel");
  EXPECT_EQ(vm.boot.initrd, "initrd");
  EXPECT_EQ(vm.boot.cmdline, "");
  EXPECT_FALSE(vm.boot.boot_kit);
}

TEST(Original, ACloudImagesGuest) {
  auto guest = parse(cloud_config(), cloud_sidecar());
  ASSERT_TRUE(guest) << guest.error().to_string();
  EXPECT_EQ(guest->base, kLower);
  EXPECT_EQ(guest->snapshot.vm.disks[0].backing, "base.raw");
  EXPECT_EQ(guest->snapshot.vm.boot.firmware, "firmware.fd");
  // not said, as an old snapshot: the overlay will say it
  json config = cloud_config();
  config.erase("image_blob_ids");
  config.erase("image_type");
  guest = parse(config, cloud_sidecar());
  ASSERT_TRUE(guest) << guest.error().to_string();
  EXPECT_EQ(guest->base, "");
  EXPECT_EQ(guest->snapshot.vm.config.image_type, "cloudimg");
}

TEST(Original, WhatIsWrittenIsReadAgain) {
  auto guest = parse(container_config(), container_sidecar());
  ASSERT_TRUE(guest) << guest.error().to_string();
  json sidecar = original_sidecar(*guest);
  json wanted = container_sidecar();
  wanted["boot_config"].erase("cmdline");
  EXPECT_EQ(sidecar, wanted);
  json envelope = json::parse(original_envelope(*guest));
  EXPECT_EQ(envelope["config"]["image_blob_ids"], container_config()["image_blob_ids"]);
}

struct Mutation {
  const char* says;
  std::function<void(json& config, json& sidecar)> change;
};

void expect_refused(const json& config, const json& sidecar, const std::string& says) {
  auto guest = parse(config, sidecar);
  ASSERT_FALSE(guest) << says;
  EXPECT_NE(guest.error().to_string().find(says), std::string::npos)
      << says << " | " << guest.error().to_string();
}

TEST(Original, HostileDocuments) {
  auto disks = [](json& sidecar) -> json& { return sidecar["storage_configs"]; };
  auto boot = [](json& sidecar) -> json& { return sidecar["boot_config"]; };
  const Mutation mutations[] = {
      {"storage_configs is no list", [](json&, json& s) { s["storage_configs"] = 1; }},
      {"storage_configs is no list", [](json&, json& s) { s["storage_configs"] = json(33, 1); }},
      {"storage_configs[0]", [&](json&, json& s) { disks(s)[0] = nullptr; }},
      {"unknown disk role", [&](json&, json& s) { disks(s)[0]["role"] = "swap"; }},
      {"role layer must be read-only", [&](json&, json& s) { disks(s)[0]["ro"] = false; }},
      {"role cow must be writable", [&](json&, json& s) { disks(s)[2]["ro"] = true; }},
      {"no place of the original's store",
       [&](json&, json& s) { disks(s)[0]["path"] = "/etc/shadow"; }},
      {"no place of the original's store",
       [&](json&, json& s) { disks(s)[0]["path"] = "/x/oci/blobs/short.erofs"; }},
      {"no absolute path",
       [&](json&, json& s) { disks(s)[0]["path"] = "/x/../oci/blobs/" + kLower + ".erofs"; }},
      {"no absolute path", [&](json&, json& s) { disks(s)[2]["path"] = "cow.raw"; }},
      {"no absolute path", [&](json&, json& s) { disks(s)[2]["path"] = "/x\n/cow.raw"; }},
      {"not called cow.raw", [&](json&, json& s) { disks(s)[2]["path"] = "/x/console.sock"; }},
      {"not called data-db.raw", [&](json&, json& s) { disks(s)[3]["path"] = "/x/data-a.raw"; }},
      {"layer 1 has the serial", [&](json&, json& s) { disks(s)[1]["serial"] = "cocoon-layer0"; }},
      {"two disks have the path \"cow.raw\"",
       [&](json&, json& s) { disks(s)[3] = disk("cow", "/x/cow.raw", false, "other"); }},
      {"no disk has the role cow", [&](json&, json& s) { disks(s).erase(2); }},
      {"two disks have the path", [&](json&, json& s) { disks(s).push_back(disks(s)[3]); }},
      {"unknown fstype", [&](json&, json& s) { disks(s)[3]["fstype"] = "zfs"; }},
      {"mount=", [&](json&, json& s) { disks(s)[3]["mount_point"] = "relative"; }},
      {"direct I/O is set", [&](json&, json& s) { disks(s)[2]["direct_io"] = true; }},
      {"is not called data-../a.raw",
       [&](json&, json& s) { disks(s)[3] = disk("data", "/x/data-../a.raw", false, "../a"); }},
      {"boots a kernel has",
       [&](json&, json& s) { disks(s).push_back(disk("cidata", "/x/cidata.img", true, "")); }},
      {"no boot_config", [](json&, json& s) { s.erase("boot_config"); }},
      {"no boot_config", [](json&, json& s) { s["boot_config"] = nullptr; }},
      {"either a kernel or a firmware", [](json&, json& s) { s["boot_config"] = json::object(); }},
      {"either a kernel or a firmware",
       [&](json&, json& s) { boot(s)["firmware_path"] = "/x/firmware/CLOUDHV.fd"; }},
      {"go together", [&](json&, json& s) { boot(s).erase("initrd_path"); }},
      {"no place of the original's store",
       [&](json&, json& s) { boot(s)["kernel_path"] = "/boot/vmlinuz"; }},
      {"wrong type", [&](json&, json& s) { boot(s)["kernel_path"] = 1; }},
      {"is not among the image_blob_ids",
       [](json& c, json&) { c["image_blob_ids"].erase(kLower); }},
      {"image_blob_ids is no object", [](json& c, json&) { c["image_blob_ids"] = "x"; }},
      {"it is a snapshot of firecracker", [](json& c, json&) { c["hypervisor"] = "firecracker"; }},
      {"image_type", [](json& c, json&) { c["image_type"] = "cloudimg"; }},
      {"wrong type", [](json& c, json&) { c["cpu"] = "2"; }},
      {"is below 0", [](json& c, json&) { c["memory"] = -1; }},
      {"Windows guest", [](json& c, json&) { c["windows"] = true; }},
  };
  for (const Mutation& mutation : mutations) {
    json config = container_config(), sidecar = container_sidecar();
    mutation.change(config, sidecar);
    expect_refused(config, sidecar, mutation.says);
  }
}

TEST(Original, HostileDocumentsOfACloudImage) {
  const Mutation mutations[] = {
      {"boots firmware has layer",
       [](json&, json& s) {
         s["storage_configs"].insert(s["storage_configs"].begin(),
                                     disk("layer", blob(kLower), true, "cocoon-layer0"));
       }},
      {"not called overlay.qcow2",
       [](json&, json& s) { s["storage_configs"][0]["path"] = "/x/cow.raw"; }},
      {"role cidata must be the last",
       [](json&, json& s) { std::swap(s["storage_configs"][0], s["storage_configs"][1]); }},
      {"not the one digest", [](json& c, json&) { c["image_blob_ids"] = json::object(); }},
      {"not the one digest", [](json& c, json&) { c["image_blob_ids"][kUpper] = 1; }},
      {"not the one digest",
       [](json& c, json&) {
         c["image_blob_ids"] = {{"../x", 1}};
       }},
      {"no place of the original's store",
       [](json&, json& s) { s["boot_config"]["firmware_path"] = "/etc/shadow"; }},
  };
  for (const Mutation& mutation : mutations) {
    json config = cloud_config(), sidecar = cloud_sidecar();
    mutation.change(config, sidecar);
    expect_refused(config, sidecar, mutation.says);
  }
}

}  // namespace
}  // namespace cocoon::snapshot
