// SPDX-License-Identifier: Apache-2.0
#include "model/vm.h"

#include <gtest/gtest.h>

namespace cocoon::model {
namespace {

Vm sample() {
  Vm vm;
  vm.id = "K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
  vm.hypervisor = "qemu";
  vm.state = VmState::kRunning;
  vm.config.name = "web-1";
  vm.config.image = "base:1.4";
  vm.config.image_digest = "sha256:4f1c";
  vm.config.image_type = "oci";
  vm.uid = 1879048200;
  vm.vmm = {4242, 99, "boot"};
  vm.boot = {"kernel", "initrd", "", "", true, "k1"};
  vm.run = {false, {"/bin/sh"}, {"A=1"}, "/srv", "1000:1000"};
  vm.device_plan = {{"machine", "pc-q35-7.2"}};
  Disk cow;
  cow.path = "cow.raw";
  cow.serial = "cocoon-cow";
  cow.role = DiskRole::kCow;
  vm.disks = {cow};
  vm.nonce = "secret";
  vm.created_at = vm.updated_at = "2026-03-02T10:15:04.120391000Z";
  vm.started_at = "2026-03-02T10:15:06.000000000Z";
  vm.op = Op{"stop", 7, 8, "ask"};
  return vm;
}

TEST(Vm, StoredFormGoesThroughUnchanged) {
  Vm vm = sample();
  vm.exit_code = 0;
  auto json = to_stored_json(vm);
  auto back = parse_vm(json);
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(to_stored_json(*back), json);
}

// Clients read these keys (spec 01 §10.1, spec 05 §7.1): a change here breaks them.
TEST(Vm, PublicFormHasTheGoldenKeys) {
  const char* want = R"({
  "accel": "tcg",
  "config": {
    "cpu": 2,
    "image": "base:1.4",
    "image_digest": "sha256:4f1c",
    "image_type": "oci",
    "memory": 1073741824,
    "name": "web-1",
    "storage": 10737418240
  },
  "created_at": "2026-03-02T10:15:04.120391000Z",
  "exit": null,
  "exit_code": null,
  "first_booted": false,
  "hypervisor": "qemu",
  "id": "K3QZ7WJ5M2XA4TBN6RCVYDHEPL",
  "op": {
    "phase": "ask",
    "pid": 7,
    "start_time": 8,
    "verb": "stop"
  },
  "pid": 4242,
  "socket_path": "/run/vm/sock/qmp",
  "started_at": "2026-03-02T10:15:06.000000000Z",
  "state": "running",
  "storage_configs": [
    {
      "path": "/run/vm/cow.raw",
      "ro": false,
      "role": "cow",
      "serial": "cocoon-cow"
    }
  ],
  "uid": 1879048200,
  "updated_at": "2026-03-02T10:15:04.120391000Z"
})";
  Vm vm = sample();
  vm.accel = "tcg";
  EXPECT_EQ(to_public_json(vm, "/run/vm").dump(2), want);
}

TEST(Vm, StoppedShowsExitAndNoPid) {
  Vm vm = sample();
  vm.state = VmState::kStopped;
  vm.exit_code = 7;
  vm.exit_reason = "guest exited with code 7";
  auto json = to_public_json(vm, "/run/vm");
  EXPECT_EQ(json["pid"], 0);
  EXPECT_FALSE(json.contains("socket_path"));
  EXPECT_EQ(json["exit_code"], 7);
  EXPECT_EQ(json["exit"]["reason"], "guest exited with code 7");
}

TEST(Vm, RefusesForeignRecords) {
  EXPECT_FALSE(parse_vm(nlohmann::json::array()));
  auto json = to_stored_json(sample());
  json["state"] = "paused";
  EXPECT_FALSE(parse_vm(json));
  json = to_stored_json(sample());
  json["storage_configs"] = {nullptr};
  EXPECT_FALSE(parse_vm(json));
  json = to_stored_json(sample());
  json["uid"] = -1;
  EXPECT_FALSE(parse_vm(json));
}

TEST(Vm, ValidateChecksLimits) {
  EXPECT_TRUE(validate(sample()));
  auto refused = [](auto change) {
    Vm vm = sample();
    change(vm);
    return !validate(vm);
  };
  EXPECT_TRUE(refused([](Vm& vm) { vm.config.memory = (512 << 20) - 1; }));
  EXPECT_TRUE(refused([](Vm& vm) { vm.config.storage = 9'999'999'999; }));
  EXPECT_TRUE(refused([](Vm& vm) { vm.config.cpu = 0; }));
  EXPECT_TRUE(refused([](Vm& vm) { vm.config.name = "-x"; }));
  EXPECT_TRUE(refused([](Vm& vm) { vm.id = "../../etc"; }));
  EXPECT_TRUE(refused([](Vm& vm) { vm.disks[0].read_only = true; }));
}

// The fstab of a cloud image cannot name what a guest of the boot kit can.
TEST(Vm, ValidateKnowsWhatACloudImageCanMount) {
  for (const char* point : {"/srv/a b", "/srv/a\\040b"}) {
    Vm vm = sample();
    Disk disk;
    disk.path = "data-db.raw";
    disk.serial = "db";
    disk.fstype = "ext4";
    disk.mount_point = point;
    vm.disks.push_back(disk);
    EXPECT_TRUE(validate(vm)) << point;
    vm.config.image_type = "cloudimg";
    auto refused = validate(vm);
    ASSERT_FALSE(refused) << point;
    EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(refused.error().to_string().find("without blanks"), std::string::npos);
    vm.disks.back().mount_point = "/srv/a-b";
    EXPECT_TRUE(validate(vm));
  }
}

TEST(VmName, FollowsTheRule) {
  for (const char* good : {"a", "web-1", "A.b_c", "0"}) EXPECT_TRUE(check_vm_name(good)) << good;
  for (const char* bad : {"", "-a", ".a", "a b", "a/b", "ä"})
    EXPECT_FALSE(check_vm_name(bad)) << bad;
  EXPECT_TRUE(check_vm_name(std::string(63, 'a')));
  EXPECT_FALSE(check_vm_name(std::string(64, 'a')));
}

TEST(VmState, AllowsOnlyTheListedSteps) {
  using enum VmState;
  const std::vector<std::pair<VmState, VmState>> allowed{
      {kCreating, kCreated}, {kCreating, kRunning}, {kCreated, kRunning}, {kStopped, kRunning},
      {kError, kRunning},    {kRunning, kStopped},  {kRunning, kError},   {kCreated, kError},
      {kStopped, kError},    {kError, kError}};
  for (VmState from : {kCreating, kCreated, kRunning, kStopped, kError}) {
    for (VmState to : {kCreating, kCreated, kRunning, kStopped, kError}) {
      bool want = std::find(allowed.begin(), allowed.end(), std::pair(from, to)) != allowed.end();
      EXPECT_EQ(check_transition(from, to).has_value(), want)
          << state_name(from) << " -> " << state_name(to);
    }
  }
}

}  // namespace
}  // namespace cocoon::model
