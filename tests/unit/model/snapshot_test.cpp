// SPDX-License-Identifier: Apache-2.0
#include "model/snapshot.h"

#include <functional>

#include <gtest/gtest.h>

namespace cocoon::model {
namespace {

Disk disk(const std::string& path, const std::string& serial, DiskRole role, bool read_only) {
  Disk out;
  out.path = path;
  out.serial = serial;
  out.role = role;
  out.read_only = read_only;
  return out;
}

Snapshot good() {
  Snapshot snapshot;
  snapshot.id = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  snapshot.name = "team/base:1.4";
  snapshot.description = "as it was";
  snapshot.state = SnapshotState::kReady;
  snapshot.source_vm = "BBCDEFGHIJKLMNOPQRSTUVWXYZ";
  snapshot.vmm_version = "7.2.22";
  snapshot.cpu = {"GenuineIntel", "Some CPU", {"avx", "sse"}};
  snapshot.pause_us = 77'000;
  snapshot.created_at = "2026-03-02T11:00:00Z";
  Vm& vm = snapshot.vm;
  vm.id = snapshot.source_vm;
  vm.hypervisor = "qemu";
  vm.state = VmState::kStopped;
  vm.config.name = "src";
  vm.boot.kernel = "kernel";
  vm.boot.initrd = "initrd";
  vm.boot.boot_kit = true;
  vm.disks = {disk("layer0.erofs", "cocoon-layer0", DiskRole::kLayer, true),
              disk("cow.raw", "cocoon-cow", DiskRole::kCow, false),
              disk("data-db.raw", "db", DiskRole::kData, false)};
  vm.disks[2].fstype = "ext4";
  vm.disks[2].mount_point = "/mnt/db";
  snapshot.members = {{"layer0.erofs", MemberKind::kShared, 10, {}},
                      {"kernel", MemberKind::kShared, 10, {}},
                      {"cow.raw", MemberKind::kDisk, 10, std::string(64, 'a')},
                      {"data-db.raw", MemberKind::kDisk, 10, {}},
                      {"state", MemberKind::kState, 10, {}},
                      {"memory", MemberKind::kMemory, 10, {}}};
  return snapshot;
}

TEST(Snapshot, SurvivesJson) {
  Snapshot before = good();
  auto after = parse_snapshot(nlohmann::json::parse(to_stored_json(before).dump()));
  ASSERT_TRUE(after) << after.error().to_string();
  EXPECT_EQ(to_stored_json(*after), to_stored_json(before));
  EXPECT_EQ(after->members, before.members);
  EXPECT_EQ(after->cpu, before.cpu);
  EXPECT_EQ(after->vm.disks, before.vm.disks);
  EXPECT_TRUE(validate(*after));
}

TEST(Snapshot, KeepsWhatASaveFoundOutOfAnAgent) {
  for (std::optional<bool> agent :
       {std::optional<bool>(), std::optional(false), std::optional(true)}) {
    Snapshot before = good();
    before.agent = agent;
    nlohmann::json stored = to_stored_json(before);
    EXPECT_EQ(stored.contains("agent"), agent.has_value());
    EXPECT_EQ(to_public_json(before, 0).contains("agent"), agent.has_value());
    auto after = parse_snapshot(stored);
    ASSERT_TRUE(after) << after.error().to_string();
    EXPECT_EQ(after->agent, agent);
  }
  nlohmann::json wrong = to_stored_json(good());
  wrong["agent"] = "none";
  EXPECT_FALSE(parse_snapshot(wrong));
}

TEST(Snapshot, RefusesRecordsOfAnotherShape) {
  for (const char* text : {"[]", "{}", R"({"format":2,"state":"ready","vm":{}})",
                           R"({"format":1,"state":"ready"})", R"({"format":1,"state":"x","vm":{}})",
                           R"({"format":1,"state":"ready","vm":{"state":"stopped"},"members":{}})",
                           R"({"format":1,"state":"ready","vm":{"state":"stopped"},
                               "members":[{"name":"a","kind":"other"}]})",
                           R"({"format":1,"state":"ready","vm":{"state":"stopped"},
                               "members":[{"name":1,"kind":"disk"}]})"}) {
    auto parsed = parse_snapshot(nlohmann::json::parse(text));
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt) << text;
  }
}

struct Broken {
  const char* what;
  std::function<void(Snapshot&)> change;
  const char* says;
};

TEST(Snapshot, IsRefusedWhenAnInvariantIsBroken) {
  const std::vector<Broken> table{
      {"no ID", [](Snapshot& s) { s.id = "x"; }, "is not a snapshot ID"},
      {"bad name", [](Snapshot& s) { s.name = "../x"; }, "invalid snapshot name"},
      {"bad VM", [](Snapshot& s) { s.vm.id = "x"; }, "is not a VM ID"},
      {"no cow", [](Snapshot& s) { s.vm.disks.erase(s.vm.disks.begin() + 1); }, "cow"},
      {"two cows", [](Snapshot& s) { s.vm.disks[2].role = DiskRole::kCow; }, "cow"},
      {"writable layer", [](Snapshot& s) { s.vm.disks[0].read_only = false; }, "layer"},
      {"path with a slash", [](Snapshot& s) { s.vm.disks[1].path = "../cow.raw"; },
       "not a name in the VM directory"},
      {"hidden path", [](Snapshot& s) { s.vm.disks[1].path = ".cow"; }, "\".cow\" is not what"},
      {"data disk in another file", [](Snapshot& s) { s.vm.disks[2].path = "data-x.raw"; },
       "the file of disk \"db\" (data) is called"},
      // Names of what the shim and the VMM keep in that directory.
      {"a layer in the shim's place",
       [](Snapshot& s) { s.vm.disks[0].path = s.members[0].name = "shim.lock"; },
       "\"shim.lock\" is not what"},
      {"a layer of another form",
       [](Snapshot& s) { s.vm.disks[0].path = s.members[0].name = "layer00.erofs"; },
       "is not what"},
      {"an overlay without its usual base",
       [](Snapshot& s) {
         s.vm.disks[1].path = "overlay.qcow2";
         s.vm.disks[1].backing = "sock";
       },
       "is not what"},
      {"a kernel in another place",
       [](Snapshot& s) { s.vm.boot.kernel = s.members[1].name = "console.sock"; },
       "it is called kernel"},
      {"an initrd outside", [](Snapshot& s) { s.vm.boot.initrd = "../../../etc/passwd"; },
       "it is called initrd"},
      {"a firmware outside",
       [](Snapshot& s) {
         s.vm.boot.kernel = s.vm.boot.initrd = "";
         s.vm.boot.firmware = "/etc/passwd";
       },
       "it is called firmware.fd"},
      {"an argument more",
       [](Snapshot& s) { s.vm.boot.cmdline = std::string("quiet\0arg=-daemonize", 20); },
       "control characters"},
      {"an argument more in a serial",
       [](Snapshot& s) { s.vm.disks[0].serial = std::string("a\0arg=-S", 9); }, "is no word"},
      {"a disk more",
       [](Snapshot& s) {
         s.members.push_back({"shim.lock", MemberKind::kDisk, 1, {}});
       },
       "member shim.lock belongs to nothing"},
      {"variables without a firmware",
       [](Snapshot& s) {
         s.members.push_back({"vars.fd", MemberKind::kDisk, 1, {}});
       },
       "member vars.fd belongs to nothing"},
      {"a shared file more",
       [](Snapshot& s) {
         s.members.push_back({"layer1.erofs", MemberKind::kShared, 1, {}});
       },
       "member layer1.erofs belongs to nothing"},
      {"member twice", [](Snapshot& s) { s.members.push_back(s.members[2]); }, "there twice"},
      {"member elsewhere", [](Snapshot& s) { s.members[4].name = "/etc/passwd"; },
       "no plain file name"},
      {"member without a name", [](Snapshot& s) { s.members[4].name = ""; }, "no plain file name"},
      {"negative size", [](Snapshot& s) { s.members[4].size = -1; }, "has size -1"},
      {"no hash", [](Snapshot& s) { s.members[2].sha256 = "xyz"; }, "its sha256 is none"},
      {"disk not listed", [](Snapshot& s) { s.members.erase(s.members.begin() + 2); },
       "cow.raw is not among the members"},
      {"layer not listed", [](Snapshot& s) { s.members.erase(s.members.begin()); },
       "layer0.erofs is not among the members"},
      {"layer as a disk", [](Snapshot& s) { s.members[0].kind = MemberKind::kDisk; },
       "member layer0.erofs is \"disk\""},
      {"disk as memory", [](Snapshot& s) { s.members[3].kind = MemberKind::kMemory; },
       "member data-db.raw is \"memory\""},
  };
  for (const Broken& broken : table) {
    Snapshot snapshot = good();
    broken.change(snapshot);
    auto valid = validate(snapshot);
    ASSERT_FALSE(valid) << broken.what;
    EXPECT_NE(valid.error().to_string().find(broken.says), std::string::npos)
        << broken.what << ": " << valid.error().to_string();
  }
}

TEST(SnapshotName, IsWhatClientsSend) {
  for (const char* name : {"base", "repo:tag", "team/base:1.4", "a@b", "fork-vm", "0", "a..b"}) {
    EXPECT_TRUE(check_snapshot_name(name)) << name;
  }
  EXPECT_TRUE(check_snapshot_name(std::string(255, 'a')));
  for (const char* name : {"", "-a", "/a", "a b", "a\n", "../a", "a/../b", "a/./b", "a/..", "a\\b",
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ä"}) {
    EXPECT_FALSE(check_snapshot_name(name)) << name;
  }
  EXPECT_FALSE(check_snapshot_name(std::string(256, 'a')));
}

TEST(SnapshotName, MakesAFileName) {
  EXPECT_EQ(file_name_of("team/base:1.4@x"), "team_base_1.4_x");
  EXPECT_EQ(file_name_of(std::string(255, 'a')), std::string(200, 'a'));
}

TEST(Snapshot, HasThePublicKeysOfTheOriginal) {
  auto json = to_public_json(good(), 4096);
  EXPECT_EQ(json.at("id"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  EXPECT_EQ(json.at("hypervisor"), "qemu");
  EXPECT_EQ(json.at("memory"), std::int64_t{1} << 30);
  EXPECT_EQ(json.at("allocated"), 4096);
  EXPECT_EQ(json.at("size"), 40) << "what is shared takes no room";
  EXPECT_FALSE(json.contains("nics"));
  EXPECT_FALSE(json.contains("state"));
  EXPECT_TRUE(to_public_json(
                  [] {
                    Snapshot s = good();
                    s.name.clear();
                    return s;
                  }(),
                  -1)
                  .contains("name"))
      << "never omitted";
}

TEST(Snapshot, ConsistsOfWhatTheVmHas) {
  Vm vm = good().vm;
  EXPECT_EQ(shared_files(vm), (std::vector<std::string>{"layer0.erofs", "kernel"}));
  EXPECT_EQ(disk_files(vm), (std::vector<std::string>{"cow.raw", "data-db.raw"}));
  vm.boot.boot_kit = false;  // the image's own initrd is a link
  EXPECT_EQ(shared_files(vm).back(), "initrd");
  vm.boot = {};
  vm.boot.firmware = "firmware.fd";
  vm.disks[1].backing = "base.raw";
  EXPECT_EQ(shared_files(vm),
            (std::vector<std::string>{"layer0.erofs", "base.raw", "firmware.fd"}));
}

}  // namespace
}  // namespace cocoon::model
