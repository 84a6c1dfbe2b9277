// SPDX-License-Identifier: Apache-2.0
// The Cloud Hypervisor backend against a socket that says what the real program said (recordings of
// 51.1 and 53.0), and against VMMs that misbehave.
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "unit/vmm/fake_api.h"
#include "unit/vmm/recording.h"
#include "vmm/cloud_hypervisor/backend.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using cocoon::test::HttpPeer;
using test::FakeApi;
using test::Recording;

constexpr Milliseconds kPatience{10'000};
constexpr Milliseconds kShort{200};

CloudHypervisorBackend backend() { return CloudHypervisorBackend(model::Config{}); }

Launch small_launch() {
  Launch launch;
  launch.calls = {{"PUT", "/api/v1/vm.create", {{"payload", {{"kernel", "kernel"}}}}},
                  {"PUT", "/api/v1/vm.boot", nullptr}};
  return launch;
}

class RecordedVersions : public testing::TestWithParam<const char*> {
 protected:
  Recording recording_{GetParam()};
};

TEST_P(RecordedVersions, Boot) {
  FakeApi api("sock/api", {recording_.play({"PUT /api/v1/vm.create", "PUT /api/v1/vm.boot"})});
  auto started = backend().finish_start(small_launch(), api.vmm(), deadline_in(kPatience));
  EXPECT_TRUE(started) << started.error().to_string();
}

TEST_P(RecordedVersions, SayTheirState) {
  FakeApi api("sock/api", {recording_.play({"GET /api/v1/vm.info#1"})});
  auto status = backend().status(api.vmm(), deadline_in(kPatience));
  ASSERT_TRUE(status) << status.error().to_string();
  EXPECT_TRUE(status->running);
  EXPECT_EQ(status->detail, "Running");
}

TEST_P(RecordedVersions, RefuseStatusWithoutAVm) {
  FakeApi api("sock/api", {recording_.play({"GET /api/v1/vm.info#0"})});
  auto status = backend().status(api.vmm(), deadline_in(kPatience));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kVmm);
  EXPECT_NE(status.error().cause.find("The VM info is not available: VM is not created"),
            std::string::npos);
}

TEST_P(RecordedVersions, Quit) {
  FakeApi api("sock/api",
              {recording_.play({"PUT /api/v1/vm.shutdown", "PUT /api/v1/vmm.shutdown"})});
  auto told = backend().quit(api.vmm(), deadline_in(kPatience));
  EXPECT_TRUE(told) << told.error().to_string();
}

INSTANTIATE_TEST_SUITE_P(Recordings, RecordedVersions,
                         testing::Values("ch-v51.1.0-256M.http", "ch-v53.0.0-256M.http"),
                         [](const auto& test) { return std::string(test.param).substr(3, 3); });

TEST(ChBackend, ReportsAFailedBootWithChainAndLog) {
  constexpr std::string_view kNoDisk =
      R"x(["Error from API","The VM could not boot","Error from device manager",)x"
      R"x("Cannot open disk path","I/O error (path=cow.raw op=open)"])x";
  FakeApi api("sock/api", {[kNoDisk](HttpPeer& peer) {
                peer.hear();
                peer.answer(204);
                peer.hear();
                peer.answer(500, kNoDisk);
                peer.hear();
              }});
  ASSERT_TRUE(sys::write_file_atomic(api.log(), "WARN: something odd\n", 0600));
  auto started = backend().finish_start(small_launch(), api.vmm(), deadline_in(kPatience));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::kVmm);
  EXPECT_EQ(started.error().to_string(),
            "start Cloud Hypervisor: PUT /api/v1/vm.boot refused (500): The VM could not boot: "
            "Error from device manager: Cannot open disk path: I/O error (path=cow.raw op=open) "
            "(Cloud Hypervisor said: WARN: something odd)");
}

TEST(ChBackend, StopsAtTheFirstRefusal) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                peer.hear();
                peer.answer(400, R"(["Failed to deserialize JSON","expected ident"])");
                EXPECT_TRUE(peer.hear().line.empty());
              }});
  EXPECT_FALSE(backend().finish_start(small_launch(), api.vmm(), deadline_in(kPatience)));
}

TEST(ChBackend, GivesUpOnAVmmThatHangsOrTalksNonsense) {
  FakeApi hangs("sock/api", {[](HttpPeer& peer) {
                  peer.hear();
                  peer.hear();
                }});
  auto silent = backend().finish_start(small_launch(), hangs.vmm(), deadline_in(kShort));
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().kind, ErrorKind::kTimeout);
  FakeApi lies("sock/api", {[](HttpPeer& peer) {
                 peer.hear();
                 peer.say("+OK POP3 ready\r\n\r\n");
                 peer.hear();
               }});
  auto nonsense = backend().finish_start(small_launch(), lies.vmm(), deadline_in(kPatience));
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().kind, ErrorKind::kCorrupt);
}

TEST(ChBackend, LeavesTheSocketOfAnotherProcessAlone) {
  FakeApi api("sock/api", {[](HttpPeer& peer) { EXPECT_TRUE(peer.hear().line.empty()); }});
  RunningVmm vmm = api.vmm();
  vmm.process.pid = 1;
  EXPECT_EQ(backend().finish_start(small_launch(), vmm, deadline_in(kPatience)).error().kind,
            ErrorKind::kCorrupt);
  EXPECT_EQ(backend().quit(vmm, deadline_in(kShort)).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(backend().ask_guest_to_stop(vmm, deadline_in(kShort)).error().kind,
            ErrorKind::kCorrupt);
}

TEST(ChBackend, PressesThePowerButtonUntilTheDeadline) {
  std::atomic<int> pressed = 0;
  FakeApi api("sock/api", {[&pressed](HttpPeer& peer) {
                while (peer.hear().line == "PUT /api/v1/vm.power-button HTTP/1.1") {
                  ++pressed;
                  peer.answer(204);
                }
              }});
  auto stopped = backend().ask_guest_to_stop(api.vmm(), deadline_in(Milliseconds(1'500)));
  ASSERT_TRUE(stopped) << stopped.error().to_string();
  EXPECT_FALSE(*stopped);
  EXPECT_EQ(pressed, 2);
}

TEST(ChBackend, TakesAVmmThatEndsBeforeItAnswersForTold) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                peer.hear();
                peer.answer(204);
                peer.hear();
                peer.close();
              }});
  EXPECT_TRUE(backend().quit(api.vmm(), deadline_in(kPatience)));
}

TEST(ChBackend, KnowsAnOrderlyEndByTheSocketThatIsGone) {
  auto dir = sys::TempDir::create(std::filesystem::temp_directory_path(), "left-");
  ASSERT_TRUE(dir);
  ASSERT_TRUE(sys::make_dirs(dir->path() / "sock", 0700));
  auto fd = sys::open_dir(dir->path());
  ASSERT_TRUE(fd);
  EXPECT_TRUE(backend().left_in_order(fd->get()));
  ASSERT_TRUE(sys::write_file_atomic(dir->path() / "sock/api", "", 0600));
  EXPECT_FALSE(backend().left_in_order(fd->get()));
}

TEST(ChBackend, RefusesAStatusThatIsNone) {
  for (const char* body : {"[]", "{}", R"({"state":7})", "null"}) {
    FakeApi api("sock/api", {[body](HttpPeer& peer) {
                  peer.hear();
                  peer.answer(200, body);
                  peer.hear();
                }});
    auto status = backend().status(api.vmm(), deadline_in(kPatience));
    ASSERT_FALSE(status) << body;
    EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt) << body;
  }
}

}  // namespace
}  // namespace cocoon::vmm::cloud_hypervisor
