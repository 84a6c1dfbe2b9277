// SPDX-License-Identifier: Apache-2.0
// Pausing, saving and loading against a socket that says what the real program said, and against
// snapshots on disk.
#include <sys/stat.h>

#include <fstream>

#include <gtest/gtest.h>

#include "unit/vmm/ch_saved.h"
#include "unit/vmm/fake_api.h"
#include "unit/vmm/recording.h"
#include "vmm/cloud_hypervisor/backend.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using cocoon::test::HttpPeer;
using vmm::test::FakeApi;
using vmm::test::Recording;

constexpr Milliseconds kPatience{10'000};

CloudHypervisorBackend backend() { return CloudHypervisorBackend(model::Config{}); }

TEST(ChSaving, PausesSavesAndResumesAsRecorded) {
  Recording recording("ch-v53.0.0-256M.http");
  FakeApi api("sock/api", {recording.play({"GET /api/v1/vmm.ping", "PUT /api/v1/vm.pause"}),
                           recording.play({"PUT /api/v1/vm.snapshot#1"}),
                           recording.play({"PUT /api/v1/vm.resume"})});
  Deadline deadline = deadline_in(kPatience);
  auto paused = backend().pause(api.vmm(), deadline);
  EXPECT_TRUE(paused) << paused.error().to_string();
  auto saved = backend().save(vmm::test::sample_vm(), api.vmm(), "save-1", deadline);
  EXPECT_TRUE(saved) << saved.error().to_string();
  auto resumed = backend().resume(api.vmm(), deadline);
  EXPECT_TRUE(resumed) << resumed.error().to_string();
}

TEST(ChSaving, NamesTheDirectoryRelative) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                EXPECT_EQ(peer.hear().body, R"({"destination_url":"file://save-1"})");
                peer.answer(204);
              }});
  EXPECT_TRUE(backend().save(vmm::test::sample_vm(), api.vmm(), "save-1", deadline_in(kPatience)));
}

TEST(ChSaving, TakesAGuestThatIsPausedForPaused) {
  Recording recording("ch-v53.0.0-256M.http");
  auto refused = recording.play({"GET /api/v1/vmm.ping", "PUT /api/v1/vm.pause#1"});
  std::string answer = R"({"config":{},"state":"Paused"})";
  auto scene = [&](std::string state) {
    return [state](HttpPeer& peer) {
      peer.hear();
      peer.answer(200, R"({"build_version":"v53.0.0","version":"53.0.0"})");
      EXPECT_EQ(peer.hear().line, "PUT /api/v1/vm.pause HTTP/1.1");
      peer.answer(500, R"(["Error from API","The VM could not be paused"])");
      EXPECT_EQ(peer.hear().line, "GET /api/v1/vm.info HTTP/1.1");
      peer.answer(200, R"({"config":{},"state":")" + state + "\"}");
    };
  };
  FakeApi paused("sock/api", {scene("Paused")});
  EXPECT_TRUE(backend().pause(paused.vmm(), deadline_in(kPatience)));
  FakeApi shut("sock/api", {scene("Shutdown")});
  auto refusal = backend().pause(shut.vmm(), deadline_in(kPatience));
  ASSERT_FALSE(refusal);
  EXPECT_EQ(refusal.error().kind, ErrorKind::kVmm);
  EXPECT_NE(refusal.error().to_string().find("The VM could not be paused"), std::string::npos);
}

TEST(ChSaving, TakesAGuestThatRunsForResumed) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                peer.hear();
                peer.answer(500, R"(["Error from API","The VM could not be resumed"])");
                peer.hear();
                peer.answer(200, R"({"config":{},"state":"Running"})");
              }});
  EXPECT_TRUE(backend().resume(api.vmm(), deadline_in(kPatience)));
}

// What runs counts, not what is installed; and nothing is paused.
TEST(ChSaving, RefusesAVersionThatDoesNotDrain) {
  Recording recording("ch-v51.1.0-256M.http");
  FakeApi api("sock/api", {recording.play({"GET /api/v1/vmm.ping"})});
  auto paused = backend().pause(api.vmm(), deadline_in(kPatience));
  ASSERT_FALSE(paused);
  EXPECT_EQ(paused.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(paused.error().to_string().find("51.1.0"), std::string::npos);
}

TEST(ChSaving, LoadsAndLetsTheGuestRun) {
  test::Saved saved = test::small();
  MemoryPlan memory =
      *plan_memory(saved.vm, saved_files(saved.vm), RestoreMode::kOnDemand, kDrainsDisks);
  auto plan = render_load(test::clone_of(saved.vm), saved.vm, saved.texts, memory, {kDrainsDisks});
  ASSERT_TRUE(plan) << plan.error().to_string();
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                auto restore = peer.hear();
                EXPECT_EQ(restore.line, "PUT /api/v1/vm.restore HTTP/1.1");
                EXPECT_EQ(restore.body,
                          R"({"source_url":"file://.","memory_restore_mode":"OnDemand"})");
                peer.answer(204);
                EXPECT_EQ(peer.hear().line, "PUT /api/v1/vm.resume HTTP/1.1");
                peer.answer(204);
              }});
  auto loaded = backend().finish_load(*plan, api.vmm(), deadline_in(kPatience));
  EXPECT_TRUE(loaded) << loaded.error().to_string();
}

// A snapshot's directory, and a program that says it is Cloud Hypervisor 53.
class ChSnapshotDir : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(std::filesystem::temp_directory_path(), "saved-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    config_.run_dir = dir_->path() / "run";
    config_.ch_binary = dir_->path() / "cloud-hypervisor";
    ASSERT_TRUE(sys::make_dirs(config_.run_dir, 0700));
    std::ofstream(config_.ch_binary) << "#!/bin/sh\necho cloud-hypervisor v53.0.0\n";
    ASSERT_EQ(chmod(config_.ch_binary.c_str(), 0755), 0);
    write("config.json", saved_.texts.config);
    write("state.json", saved_.texts.state);
    ASSERT_TRUE(sys::create_sparse_file(place("memory-ranges"), saved_.vm.config.memory, 0444));
  }
  std::filesystem::path place(const std::string& name) const { return dir_->path() / name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(place(name)) << text;
  }
  Result<LoadPlan> plan(RestoreMode mode = RestoreMode::kAuto, Accel accel = Accel::kKvm) {
    SavedVm snapshot{&saved_.vm, dir_->path(), saved_files(saved_.vm), memory_bytes_};
    return CloudHypervisorBackend(config_).plan_load(test::clone_of(saved_.vm), snapshot, accel,
                                                     mode);
  }
  void expect_corrupt(const std::string& says) {
    auto got = plan();
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().kind, ErrorKind::kCorrupt) << got.error().to_string();
    EXPECT_NE(got.error().to_string().find(says), std::string::npos) << got.error().to_string();
  }

  test::Saved saved_ = test::small();
  std::optional<sys::TempDir> dir_;
  model::Config config_;
  std::optional<std::int64_t> memory_bytes_;
};

TEST_F(ChSnapshotDir, IsLoaded) {
  auto got = plan();
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->mode, RestoreMode::kMmap);
  EXPECT_EQ(got->launch.program, config_.ch_binary);
  EXPECT_EQ(plan(RestoreMode::kAuto, Accel::kTcg).error().kind, ErrorKind::kUnsupported);
}

TEST_F(ChSnapshotDir, MemoryOfAnotherSizeIsRefused) {
  ASSERT_EQ(truncate(place("memory-ranges").c_str(), 4096), 0);
  expect_corrupt("memory-ranges: 4096 bytes, not the 268435456");
}

TEST_F(ChSnapshotDir, MemoryOfSeveralSnapshotsIsTheWhole) {
  ASSERT_EQ(truncate(place("memory-ranges").c_str(), (256 << 20) + 8192), 0);
  expect_corrupt("memory-ranges: 268443648 bytes, not the 268435456");
  memory_bytes_ = 256 << 20;
  auto got = plan();
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->links, std::vector<std::string>{"memory-ranges"});
  memory_bytes_ = 255 << 20;
  expect_corrupt("memory-ranges: 267386880 bytes, not the 268435456");
}

TEST_F(ChSnapshotDir, MembersThatAreNoFilesAreRefused) {
  ASSERT_TRUE(sys::remove_file(place("memory-ranges")));
  ASSERT_TRUE(sys::make_dirs(place("memory-ranges"), 0700));
  expect_corrupt("memory-ranges");
  std::filesystem::remove(place("memory-ranges"));
  ASSERT_TRUE(sys::create_sparse_file(place("memory-ranges"), saved_.vm.config.memory, 0444));
  ASSERT_TRUE(sys::remove_file(place("state.json")));
  ASSERT_EQ(mkfifo(place("state.json").c_str(), 0600), 0);
  expect_corrupt("state.json");
}

TEST_F(ChSnapshotDir, LinksAreNotFollowed) {
  ASSERT_TRUE(sys::rename_path(place("config.json"), place("elsewhere")));
  std::filesystem::create_symlink("elsewhere", place("config.json"));
  auto got = plan();
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().to_string().find("config.json"), std::string::npos);
}

TEST_F(ChSnapshotDir, FilesThatAreTooLongAreRefused) {
  write("config.json", std::string(300 << 10, ' '));
  expect_corrupt("config.json: no file of at most");
}

}  // namespace
}  // namespace cocoon::vmm::cloud_hypervisor
