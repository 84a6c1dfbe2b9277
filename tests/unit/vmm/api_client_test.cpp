// SPDX-License-Identifier: Apache-2.0
#include "vmm/api_client.h"

#include <sys/wait.h>

#include <gtest/gtest.h>

#include "unit/vmm/fake_api.h"
#include "vmm/api_refusal.h"

namespace cocoon::vmm {
namespace {

using cocoon::test::HttpPeer;
using test::FakeApi;

constexpr Milliseconds kPatience{5000};
constexpr Milliseconds kShort{150};
constexpr VmmDoor kDoor{"The VMM", "sock/api"};
const ApiCall kBoot{"PUT", "/api/v1/vm.boot", nullptr};
const ApiCall kInfo{"GET", "/api/v1/vm.info", nullptr};

TEST(ApiRefusal, IsReadableInEveryShape) {
  struct Case {
    const char* body;
    const char* want;
  };
  for (const Case& test : {
           Case{R"(["Error from API","The VM could not boot","no disk"])",
                "The VM could not boot: no disk"},
           Case{R"(["Not Found"])", "Not Found"},
           Case{R"(["A","B (22)\n\nStack backtrace:\n   0: <unknown>"])", "A: B (22)"},
           Case{R"(["Error from API"])", "Error from API"},
           Case{R"({"fault_message":"Boot source error: no file"})", "Boot source error: no file"},
           Case{R"({ "error": "Too many open connections" })", "Too many open connections"},
           Case{"{ \"error\": \"Invalid Header.\nBad name\" }", "Invalid Header. Bad name"},
           Case{"VmBoot(KernelFile(Os { code: 2 }))", "VmBoot(KernelFile(Os { code: 2 }))"},
           Case{"\"text\"", "text"},
           Case{"", "no reason given"},
           Case{" \n", "no reason given"},
           Case{"[1,2]", "[1,2]"},
           Case{"{\"x\":1}", "{\"x\":1}"},
       }) {
    EXPECT_EQ(describe_refusal(test.body), test.want) << test.body;
  }
  EXPECT_EQ(describe_refusal("[\"" + std::string(50'000, 'x') + "\"]").size(), 2048U);
  EXPECT_EQ(describe_refusal(std::string(50'000, '[')).size(), 2048U);
}

TEST(ApiClient, MakesCallsOverOneConnection) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                EXPECT_EQ(peer.hear().line, "PUT /api/v1/vm.create HTTP/1.1");
                peer.answer(204);
                EXPECT_TRUE(peer.hear().body.empty());
                peer.answer(200);
                peer.hear();
                peer.answer(200, R"({"state":"Running"})");
                peer.hear();
              }});
  auto vmm = api.vmm();
  ApiClient client(vmm, kDoor);
  auto created =
      client.call({"PUT", "/api/v1/vm.create", {{"payload", {}}}}, deadline_in(kPatience));
  ASSERT_TRUE(created) << created.error().to_string();
  EXPECT_TRUE(created->is_null());
  ASSERT_TRUE(client.call(kBoot, deadline_in(kPatience)));
  auto info = client.call(kInfo, deadline_in(kPatience));
  ASSERT_TRUE(info);
  EXPECT_EQ((*info)["state"], "Running");
  EXPECT_EQ(api.connections(), 1);
}

TEST(ApiClient, QuotesARefusalWithItsCodeAndDoesNotRepeatIt) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                peer.hear();
                peer.answer(500, R"(["Error from API","The VM could not boot","no disk"])");
                EXPECT_TRUE(peer.hear().line.empty());
              }});
  auto vmm = api.vmm();
  {
    ApiClient client(vmm, kDoor);
    auto answer = client.call(kBoot, deadline_in(kPatience));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::kVmm);
    EXPECT_EQ(answer.error().to_string(),
              "PUT /api/v1/vm.boot refused (500): The VM could not boot: no disk");
  }
  EXPECT_EQ(api.connections(), 1);
}

TEST(ApiClient, WaitsForAFreeConnection) {
  auto full = [](HttpPeer& peer) {
    peer.say(
        "HTTP/1.1 503 \r\nConnection: close\r\nContent-Length: 40\r\n\r\n"
        "{ \"error\": \"Too many open connections\" }");
    peer.close();
  };
  FakeApi api("sock/api", {full, full, [](HttpPeer& peer) {
                             peer.hear();
                             peer.answer(204);
                             peer.hear();
                           }});
  auto vmm = api.vmm();
  ApiClient client(vmm, kDoor);
  auto answer = client.call(kBoot, deadline_in(kPatience));
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(api.connections(), 3);
}

TEST(ApiClient, RepeatsAQuestionButNoCommandWhenTheConnectionBreaks) {
  auto hang_up = [](HttpPeer& peer) {
    peer.hear();
    peer.close();
  };
  FakeApi api("sock/api", {hang_up, [](HttpPeer& peer) {
                             peer.hear();
                             peer.answer(200, "{}");
                             peer.hear();
                           }});
  auto vmm = api.vmm();
  {
    ApiClient client(vmm, kDoor);
    EXPECT_TRUE(client.call(kInfo, deadline_in(Milliseconds(20'000))));
  }
  EXPECT_EQ(api.connections(), 2);

  FakeApi rude("sock/api", {hang_up});
  auto other = rude.vmm();
  ApiClient client(other, kDoor);
  auto answer = client.call(kBoot, deadline_in(kPatience));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().saved_errno, ECONNRESET);
  EXPECT_EQ(rude.connections(), 1);
}

TEST(ApiClient, DoesNotWaitForEver) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                peer.hear();
                peer.hear();
              }});
  auto vmm = api.vmm();
  {
    ApiClient client(vmm, kDoor);
    auto answer = client.call(kBoot, deadline_in(kShort));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::kTimeout);
    EXPECT_EQ(answer.error().to_string(), "PUT /api/v1/vm.boot: no answer in time");
  }
  EXPECT_EQ(api.connections(), 1);
}

TEST(ApiClient, RefusesGarbageAndDeepJson) {
  for (const std::string& body : {std::string("nonsense"), std::string(5000, '[')}) {
    FakeApi api("sock/api", {[&body](HttpPeer& peer) {
                  peer.hear();
                  peer.answer(200, body);
                }});
    auto vmm = api.vmm();
    ApiClient client(vmm, kDoor);
    auto answer = client.call(kInfo, deadline_in(kPatience));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(ApiClient, TalksToNobodyButTheVmm) {
  FakeApi api("sock/api", {[](HttpPeer& peer) { EXPECT_TRUE(peer.hear().line.empty()); }});
  auto vmm = api.vmm();
  vmm.process.pid = 1;  // the socket belongs to us, not to it
  ApiClient client(vmm, kDoor);
  auto answer = client.call(kInfo, deadline_in(kPatience));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kCorrupt);
}

TEST(ApiClient, SaysThatTheVmmEndedWithItsLastWords) {
  FakeApi api("sock/api", {[](HttpPeer& peer) { peer.hear(); }});
  ASSERT_TRUE(sys::write_file_atomic(api.log(), "first\nout of memory\n", 0600));
  auto vmm = api.vmm();
  vmm.handle = nullptr;  // ended meanwhile
  ApiClient client(vmm, kDoor);
  auto answer = client.call(kBoot, deadline_in(kPatience));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kVmm);
  EXPECT_EQ(answer.error().to_string(), "PUT /api/v1/vm.boot: The VMM ended: first;out of memory");
}

TEST(ApiClient, NamesTheLogWhenThereAreNoWords) {
  FakeApi api("sock/api", {[](HttpPeer& peer) { peer.hear(); }});
  auto vmm = api.vmm();
  vmm.handle = nullptr;
  ApiClient client(vmm, kDoor);
  auto answer = client.call(kBoot, deadline_in(kPatience));
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().to_string().find(api.log().native()), std::string::npos);
}

}  // namespace
}  // namespace cocoon::vmm
