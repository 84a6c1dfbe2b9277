// SPDX-License-Identifier: Apache-2.0
// The QMP client against a peer that does what a test tells it: good and bad.
#include "vmm/qemu/qmp_client.h"

#include <sys/socket.h>

#include <array>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "sys/files.h"
#include "unit/vmm/qmp_peer.h"

namespace cocoon::vmm::qemu {
namespace {

using namespace test;

constexpr Milliseconds kPatience{5000};
constexpr Milliseconds kShort{150};

Result<QmpClient> open(Conversation& conversation, Milliseconds patience = kPatience) {
  return QmpClient::open(std::move(conversation.ours), deadline_in(patience));
}

TEST(QmpClient, RunsCommandsAndKeepsEventsBetweenThem) {
  auto conversation = talk([](Peer& peer) {
    peer.greet();
    EXPECT_EQ(peer.hear(), R"({"execute":"query-status","id":2})");
    peer.say("{\"event\":\"STOP\"}\n{\"event\":\"RESUME\",\"data\":{\"n\":1}}\n");
    peer.say("{\"return\":{\"status\":\"running\"},\"id\":2}\n");
    EXPECT_EQ(peer.hear(), R"({"arguments":{"id":"x"},"execute":"device_del","id":3})");
    peer.say(
        "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"Device 'x' not found\"},\"id\":3}\n");
    peer.hear();
  });
  auto client = open(conversation);
  ASSERT_TRUE(client) << client.error().to_string();
  auto status = client->execute("query-status", nullptr, deadline_in(kPatience));
  ASSERT_TRUE(status) << status.error().to_string();
  EXPECT_EQ((*status)["status"], "running");
  auto refused = client->execute("device_del", {{"id", "x"}}, deadline_in(kPatience));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kVmm);
  EXPECT_EQ(refused.error().cause, "QMP device_del: Device 'x' not found");
  EXPECT_EQ(client->next_event(deadline_in(kShort))->name, "STOP");
  EXPECT_EQ(client->next_event(deadline_in(kShort))->value["n"], 1);
  auto none = client->next_event(deadline_in(kShort));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kTimeout);
}

TEST(QmpClient, PutsSplitLinesTogether) {
  auto conversation = talk([](Peer& peer) {
    for (char c : kGreeting) peer.say(std::string_view(&c, 1));
    peer.hear();
    peer.say("{\"ret");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    peer.say("urn\":{},\"id\":1}\n{\"event\":");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    peer.say("\"POWERDOWN\"}\n");
    peer.hear();
  });
  auto client = open(conversation);
  ASSERT_TRUE(client) << client.error().to_string();
  EXPECT_EQ(client->next_event(deadline_in(kPatience))->name, "POWERDOWN");
}

TEST(QmpClient, GivesUpOnSilence) {
  auto conversation = talk([](Peer& peer) { peer.hear(); });
  int held = dup(conversation.ours.get());  // the peer stays connected until the end of the test
  auto start = std::chrono::steady_clock::now();
  auto client = open(conversation, kShort);
  auto took = std::chrono::steady_clock::now() - start;
  shutdown(held, SHUT_RDWR);
  close(held);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, ErrorKind::kTimeout);
  EXPECT_GE(took, kShort);
  EXPECT_LT(took, kPatience);
}

TEST(QmpClient, GivesUpOnAPeerThatDrips) {
  auto conversation = talk([](Peer& peer) {
    for (int count = 0; count < 200; ++count) {
      peer.say(" ");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  auto client = open(conversation, kShort);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, ErrorKind::kTimeout);
}

TEST(QmpClient, RefusesAGiantLine) {
  auto conversation = talk([](Peer& peer) { peer.say(std::string(1 << 20, 'x')); });
  auto client = open(conversation);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, ErrorKind::kCorrupt);
}

TEST(QmpClient, RefusesAFloodOfEvents) {
  auto conversation = talk([](Peer& peer) {
    peer.greet();
    std::string event = "{\"event\":\"" + std::string(1000, 'E') + "\"}\n";
    for (int count = 0; count < 20'000; ++count) peer.say(event);
  });
  auto client = open(conversation);
  ASSERT_TRUE(client) << client.error().to_string();
  auto status = client->execute("query-status", nullptr, deadline_in(Milliseconds(60'000)));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt) << status.error().to_string();
}

TEST(QmpClient, RefusesGarbage) {
  auto conversation = talk([](Peer& peer) { peer.say("SSH-2.0-OpenSSH_9.2\r\n"); });
  auto client = open(conversation);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, ErrorKind::kCorrupt);
}

TEST(QmpClient, RefusesAPeerThatDoesNotGreet) {
  auto conversation = talk([](Peer& peer) { peer.say("{\"return\":{},\"id\":1}\n"); });
  auto client = open(conversation);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, ErrorKind::kCorrupt);
}

TEST(QmpClient, RefusesAnAnswerToSomethingElse) {
  for (const char* answer : {"{\"return\":{},\"id\":1}\n", "{\"return\":{}}\n",
                             "{\"error\":{\"desc\":\"x\"},\"id\":99}\n"}) {
    auto conversation = talk([answer](Peer& peer) {
      peer.greet();
      peer.hear();
      peer.say(answer);
    });
    auto client = open(conversation);
    ASSERT_TRUE(client) << client.error().to_string();
    auto status = client->execute("query-status", nullptr, deadline_in(kPatience));
    ASSERT_FALSE(status) << answer;
    EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt) << answer;
  }
}

TEST(QmpClient, TreatsEndOfFileAndResetAlike) {
  for (bool reset : {false, true}) {
    auto conversation = talk([reset](Peer& peer) {
      peer.greet();
      // Unread data at close makes the kernel report a reset instead of an end.
      if (!reset)
        peer.hear();
      else
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      peer.close();
    });
    auto client = open(conversation);
    ASSERT_TRUE(client) << client.error().to_string();
    auto answer = client->execute("quit", nullptr, deadline_in(kPatience));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::kSystem);
    EXPECT_EQ(answer.error().saved_errno, ECONNRESET);
  }
}

TEST(QmpClient, SaysThatWritingToAGonePeerFailed) {
  auto conversation = talk([](Peer& peer) {
    peer.greet();
    peer.close();
  });
  auto client = open(conversation);
  ASSERT_TRUE(client) << client.error().to_string();
  conversation.peer.join();
  auto answer = client->execute("quit", nullptr, deadline_in(kPatience));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().saved_errno, ECONNRESET);
}

}  // namespace
}  // namespace cocoon::vmm::qemu
