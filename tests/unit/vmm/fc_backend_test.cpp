// SPDX-License-Identifier: Apache-2.0
// The Firecracker backend against a socket that says what the real program said (a recording of
// 1.16.1), and against VMMs that misbehave.
#include <atomic>

#include <gtest/gtest.h>

#include "unit/vmm/fake_api.h"
#include "unit/vmm/recording.h"
#include "unit/vmm/sample_vm.h"
#include "vmm/firecracker/backend.h"
#include "vmm/firecracker/payload.h"

namespace cocoon::vmm::firecracker {
namespace {

using cocoon::test::HttpPeer;
using test::FakeApi;
using test::Recording;

constexpr Milliseconds kPatience{10'000};
constexpr Milliseconds kShort{200};

FirecrackerBackend backend() { return {"firecracker", "/nonexistent"}; }

Launch full_launch() {
  model::Vm vm = test::sample_vm();
  return *render_launch(vm, *make_plan(vm), {});
}

TEST(FcBackend, ConfiguresAndStartsAsRecorded) {
  // The second PUT of machine-config and boot-source is the one that was accepted.
  Recording recording("fc-v1.16.1.http");
  FakeApi api("sock/api",
              {recording.play({"PUT /machine-config#1", "PUT /boot-source#1", "PUT /drives/drive_0",
                               "PUT /drives/drive_1", "PUT /drives/drive_2", "PUT /drives/drive_3",
                               "PUT /balloon", "PUT /entropy", "PUT /vsock", "PUT /actions"})});
  auto started = backend().finish_start(full_launch(), api.vmm(), deadline_in(kPatience));
  EXPECT_TRUE(started) << started.error().to_string();
}

TEST(FcBackend, SaysWhyFirecrackerRefused) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                EXPECT_EQ(peer.hear().line, "PUT /machine-config HTTP/1.1");
                peer.answer(204);
                peer.hear();
                peer.answer(400,
                            R"x({"fault_message":"Boot source error: The kernel file cannot be )x"
                            R"x(opened: No such file or directory (os error 2)"})x");
                EXPECT_TRUE(peer.hear().line.empty()) << "nothing is said after a refusal";
              }});
  auto started = backend().finish_start(full_launch(), api.vmm(), deadline_in(kPatience));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::kVmm);
  EXPECT_NE(started.error().to_string().find(
                "PUT /boot-source refused (400): Boot source error: The kernel file cannot be "
                "opened: No such file or directory"),
            std::string::npos)
      << started.error().to_string();
}

TEST(FcBackend, HangingSocketIsATimeout) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                peer.hear();
                peer.hear();
              }});
  auto started = backend().finish_start(full_launch(), api.vmm(), deadline_in(kShort));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::kTimeout) << started.error().to_string();
}

TEST(FcBackend, GarbageIsNoAnswer) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                peer.hear();
                peer.say("\x01\x02 what?\r\n\r\n");
              }});
  auto status = backend().status(api.vmm(), deadline_in(kPatience));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt) << status.error().to_string();
  FakeApi other("sock/api", {[](HttpPeer& peer) {
                  peer.hear();
                  peer.answer(200, R"({"state":["Running"]})");
                }});
  status = backend().status(other.vmm(), deadline_in(kPatience));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt) << status.error().to_string();
}

// A guest that does not read its keyboard: Firecracker refuses further keys. It is asked again.
TEST(FcBackend, FullKeyboardIsNoErrorOfAStop) {
  std::atomic<int> asked = 0;
  FakeApi api("sock/api", {[&asked](HttpPeer& peer) {
                auto request = peer.hear();
                EXPECT_EQ(request.line, "PUT /actions HTTP/1.1");
                EXPECT_EQ(request.body, R"({"action_type":"SendCtrlAltDel"})");
                ++asked;
                peer.answer(400, R"({"fault_message":"i8042 error: Keyboard buffer is full"})");
              }});
  auto ended = backend().ask_guest_to_stop(api.vmm(), deadline_in(Milliseconds(1500)));
  ASSERT_TRUE(ended) << ended.error().to_string();
  EXPECT_FALSE(*ended);
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace cocoon::vmm::firecracker
