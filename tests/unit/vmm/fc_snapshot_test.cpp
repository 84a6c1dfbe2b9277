// SPDX-License-Identifier: Apache-2.0
// Saving and loading a Firecracker guest: what is said to it, what a real one answered, and
// snapshots that are none.
#include <sys/stat.h>

#include <fstream>

#include <gtest/gtest.h>

#include "sys/files.h"
#include "unit/vmm/api_definition.h"
#include "unit/vmm/fake_api.h"
#include "unit/vmm/recording.h"
#include "unit/vmm/sample_vm.h"
#include "vmm/firecracker/backend.h"
#include "vmm/firecracker/snapshot.h"

namespace cocoon::vmm::firecracker {
namespace {

using cocoon::test::HttpPeer;
using test::FakeApi;
using test::Recording;

constexpr Milliseconds kPatience{10'000};

FirecrackerBackend backend() { return {"firecracker", "/nonexistent"}; }

model::Vm saved_vm() {
  model::Vm vm = test::sample_vm();
  vm.hypervisor = "firecracker";
  vm.nics = {test::nic(0), test::nic(1)};
  vm.device_plan = plan_to_json(*make_plan(vm));
  return vm;
}

TEST(FcSnapshot, LoadsByRelativeNames) {
  model::Vm vm = saved_vm();
  vm.nics[0].mac = "0a:58:0a:58:ff:0d";
  auto plan = render_load(vm, saved_vm(), RestoreMode::kAuto, {});
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->mode, RestoreMode::kMmap);
  EXPECT_EQ(plan->links, (std::vector<std::string>{"vmstate", "mem"}));
  EXPECT_TRUE(plan->texts.empty());
  EXPECT_EQ(plan->memory_copy, "");
  ASSERT_EQ(plan->launch.calls.size(), 2U);
  EXPECT_EQ(plan->launch.calls[0].path, "/snapshot/load");
  EXPECT_EQ(plan->launch.calls[0].body.dump(),
            R"({"snapshot_path":"vmstate","mem_backend":{"backend_type":"File",)"
            R"("backend_path":"mem"}})");
  EXPECT_EQ(plan->launch.calls[1], (ApiCall{"PATCH", "/vm", {{"state", "Resumed"}}}));
}

TEST(FcSnapshot, LaunchesAsAStartDoes) {
  model::Vm vm = saved_vm();
  auto start = render_launch(vm, *make_plan(vm), {});
  auto plan = render_load(vm, saved_vm(), RestoreMode::kMmap, {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->launch.args, start->args);
  EXPECT_EQ(plan->launch.lock_files, start->lock_files);
  EXPECT_EQ(plan->launch.sockets, start->sockets);
  EXPECT_TRUE(plan->launch.ends_by_reboot);
  EXPECT_TRUE(plan->launch.private_root);
  EXPECT_EQ(plan->launch.shown, start->shown);
}

TEST(FcSnapshot, SaysOnlyTheTapsThatChanged) {
  model::Vm vm = saved_vm();
  vm.nics[1].tap = "tap5";
  auto plan = render_load(vm, saved_vm(), RestoreMode::kAuto, {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->launch.calls[0].body["network_overrides"].dump(),
            R"([{"iface_id":"eth1","host_dev_name":"tap5"}])");
}

TEST(FcSnapshot, HasOneModeOnly) {
  for (RestoreMode mode : {RestoreMode::kCopy, RestoreMode::kOnDemand}) {
    auto plan = render_load(saved_vm(), saved_vm(), mode, {});
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(plan.error().cause.find(restore_mode_name(mode)), std::string::npos);
  }
}

TEST(FcSnapshot, RefusesAVmWithOtherDevices) {
  model::Vm more = saved_vm();
  more.disks.push_back(test::data("db"));
  more.device_plan = plan_to_json(*make_plan(more));
  model::Vm fewer = saved_vm();
  fewer.nics.pop_back();
  fewer.device_plan = plan_to_json(*make_plan(fewer));
  for (const model::Vm& vm : {more, fewer}) {
    auto plan = render_load(vm, saved_vm(), RestoreMode::kAuto, {});
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().kind, ErrorKind::kUnsupported);
  }
  model::Vm broken = saved_vm();
  broken.device_plan["vcpus"] = -1;
  EXPECT_EQ(render_load(saved_vm(), broken, RestoreMode::kAuto, {}).error().kind,
            ErrorKind::kCorrupt);
}

TEST(FcSnapshot, EveryBodyFitsThePublishedApi) {
  constexpr const char* kFile = "firecracker.swagger.yaml";
  auto api = test::ApiDefinition::load(kFile, "");
  if (!api) GTEST_SKIP() << "no API definition at " << test::ApiDefinition::place(kFile);
  model::Vm vm = saved_vm();
  vm.nics[1].tap = "tap5";
  std::vector<ApiCall> calls = render_load(vm, saved_vm(), RestoreMode::kAuto, {})->launch.calls;
  calls.push_back(render_save("save-1"));
  calls.push_back({"PATCH", "/vm", {{"state", "Paused"}}});
  for (const ApiCall& call : calls) {
    for (const std::string& complaint : api->complaints(call)) ADD_FAILURE() << complaint;
  }
  EXPECT_FALSE(api->complaints({"PATCH", "/vm", {{"state", "Asleep"}}}).empty());
  EXPECT_FALSE(api->complaints({"PUT", "/snapshot/create", {{"snapshot_path", "x"}}}).empty());
}

TEST(FcSnapshot, PausesSavesAndResumesAsRecorded) {
  Recording recording("fc-v1.16.1.http");
  FakeApi api("sock/api",
              {recording.play({"PATCH /vm#0"}), recording.play({"PATCH /vm#1"}),
               recording.play({"PUT /snapshot/create#1"}), recording.play({"PATCH /vm#2"})});
  Deadline deadline = deadline_in(kPatience);
  for (int time = 0; time < 2; ++time) {
    auto paused = backend().pause(api.vmm(), deadline);
    EXPECT_TRUE(paused) << paused.error().to_string();
  }
  auto saved = backend().save(saved_vm(), api.vmm(), "save-1", deadline);
  EXPECT_TRUE(saved) << saved.error().to_string();
  auto resumed = backend().resume(api.vmm(), deadline);
  EXPECT_TRUE(resumed) << resumed.error().to_string();
}

TEST(FcSnapshot, SaysWhyItWasNotSaved) {
  Recording recording("fc-v1.16.1.http");
  FakeApi api("sock/api", {recording.play({"PUT /snapshot/create#0"})});
  auto saved = backend().save(saved_vm(), api.vmm(), "save-1", deadline_in(kPatience));
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().kind, ErrorKind::kVmm);
  EXPECT_NE(saved.error().to_string().find("save/restore unavailable while running"),
            std::string::npos);
}

TEST(FcSnapshot, NamesTheDirectoryRelative) {
  EXPECT_EQ(render_save("save-1").body.dump(),
            R"({"snapshot_type":"Full","snapshot_path":"save-1/vmstate",)"
            R"("mem_file_path":"save-1/mem"})");
}

// A snapshot's directory, and a program that says it is Firecracker 1.16.
class FcSnapshotDir : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(std::filesystem::temp_directory_path(), "saved-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    ASSERT_TRUE(sys::make_dirs(place("run"), 0700));
    std::ofstream(place("firecracker")) << "#!/bin/sh\necho Firecracker v1.16.1\n";
    ASSERT_EQ(chmod(place("firecracker").c_str(), 0755), 0);
    std::filesystem::copy_file(COCOON_FIXTURES_DIR "/saved/fc-v1.16.1.vmstate", place("vmstate"));
    ASSERT_TRUE(sys::create_sparse_file(place("mem"), vm_.config.memory, 0444));
  }
  std::filesystem::path place(const std::string& name) const { return dir_->path() / name; }
  Result<LoadPlan> plan() {
    FirecrackerBackend own(place("firecracker"), place("run"));
    return own.plan_load(saved_vm(), {&vm_, dir_->path(), {}, memory_bytes_}, Accel::kKvm,
                         RestoreMode::kAuto);
  }
  void expect_corrupt(const std::string& says) {
    auto got = plan();
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().kind, ErrorKind::kCorrupt) << got.error().to_string();
    EXPECT_NE(got.error().to_string().find(says), std::string::npos) << got.error().to_string();
  }
  model::Vm vm_ = saved_vm();
  std::optional<sys::TempDir> dir_;
  std::optional<std::int64_t> memory_bytes_;
};

TEST_F(FcSnapshotDir, IsLoaded) {
  auto got = plan();
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->launch.program, place("firecracker"));
}

TEST_F(FcSnapshotDir, MemoryOfAnotherSizeIsRefused) {
  ASSERT_EQ(truncate(place("mem").c_str(), 4096), 0);
  expect_corrupt("mem: 4096 bytes, not the 536870912");
}

TEST_F(FcSnapshotDir, MemoryOfSeveralSnapshotsIsTheWhole) {
  ASSERT_EQ(truncate(place("mem").c_str(), (512 << 20) + 16384), 0);
  expect_corrupt("mem: 536887296 bytes, not the 536870912");
  memory_bytes_ = 512 << 20;
  auto got = plan();
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->links, (std::vector<std::string>{"vmstate", "mem"}));
  memory_bytes_ = 511 << 20;
  expect_corrupt("mem: 535822336 bytes, not the 536870912");
}

TEST_F(FcSnapshotDir, StateThatIsNoneIsRefused) {
  ASSERT_EQ(truncate(place("vmstate").c_str(), 0), 0);
  expect_corrupt("vmstate: 0 bytes");
  ASSERT_EQ(truncate(place("vmstate").c_str(), 8 << 20), 0);
  expect_corrupt("vmstate: 8388608 bytes");
  ASSERT_TRUE(sys::remove_file(place("vmstate")));
  std::filesystem::create_symlink("mem", place("vmstate"));
  expect_corrupt("vmstate is no file");
}

}  // namespace
}  // namespace cocoon::vmm::firecracker
