// SPDX-License-Identifier: Apache-2.0
// cocoon-mux between commands and an agent, both of which the test plays.
#include "mux/mux.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "agent_wire/mux_line.h"
#include "base/clock.h"
#include "integration/agent/peer.h"

namespace cocoon::agent::test {
namespace {

class MuxTest : public testing::Test {
 protected:
  void start(std::chrono::milliseconds linger = std::chrono::seconds(60)) {
    std::string name = (std::filesystem::temp_directory_path() / "cocoon-mux-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    path_ = dir_ + "/s";
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address = address_of(path_);
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(listener, 64), 0);
    auto [ours, theirs] = socket_pair();
    guest_.emplace(std::move(ours));
    thread_ = std::thread([listener, link = theirs.release(), linger] {
      mux::Mux(mux::UniqueFd(listener), mux::UniqueFd(link), {linger}).run();
    });
  }
  void TearDown() override {
    guest_.reset();  // the VMM's end ends it
    if (thread_.joinable()) thread_.join();
    if (!dir_.empty()) std::filesystem::remove_all(dir_);
  }
  static sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
  }
  Peer command() {
    sys::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = address_of(path_);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    Peer peer(std::move(fd));
    peer.send("CONNECT 1024\n");
    return peer;
  }
  // The agent answers the reset.
  void answer_reset() {
    std::string line = guest_->line();
    if (line.empty()) line = guest_->line();
    ASSERT_TRUE(line.starts_with(R"({"type":"reset","token":")")) << line;
    guest_->send(line + "\n");
  }
  Peer open_command() {
    Peer peer = command();
    EXPECT_EQ(peer.line(), "OK 1024");
    return peer;
  }

  std::string dir_;
  std::string path_;
  std::optional<Peer> guest_;
  std::thread thread_;
};

TEST_F(MuxTest, OpensOnlyOnceTheAgentHasAnsweredItsReset) {
  start();
  Peer early = command();
  guest_->send(
      "garbage of an earlier link\n{\"session\":1,\"type\":\"exit\"}\n"
      "{\"type\":\"reset\",\"token\":\"00\"}\n");
  EXPECT_EQ(early.line(Milliseconds(300)), "");
  answer_reset();
  EXPECT_EQ(early.line(), "OK 1024");
}

TEST_F(MuxTest, KeepsSessionsApart) {
  start();
  answer_reset();
  Peer a = open_command();
  Peer b = open_command();
  b.send("{\"type\":\"exec\",\"argv\":[\"b\"]}\n");
  EXPECT_EQ(guest_->line(), R"({"session":1,"type":"exec","argv":["b"]})");
  a.send("{\"type\":\"exec\",\"argv\":[\"a\"]}\n");
  EXPECT_EQ(guest_->line(), R"({"session":2,"type":"exec","argv":["a"]})");
  guest_->send(
      "{\"session\":2,\"type\":\"exit\"}\n{\"session\":1,\"type\":\"exit\",\"exit_code\":1}\n");
  EXPECT_EQ(a.line(), R"({"type":"exit"})");
  EXPECT_EQ(b.line(), R"({"type":"exit","exit_code":1})");
  a.close();
  EXPECT_EQ(guest_->line(), R"({"session":2,"type":"close"})");
}

TEST_F(MuxTest, ARebootedGuestEndsItsSessionsAndIsWaitedFor) {
  start();
  answer_reset();
  Peer running = open_command();
  running.send("{\"type\":\"exec\",\"argv\":[\"a\"]}\n");
  guest_->line();
  guest_->send("{\"type\":\"hello\"}\n");
  EXPECT_TRUE(running.sees_end());
  Peer next = command();
  answer_reset();
  EXPECT_EQ(next.line(), "OK 1024");
}

TEST_F(MuxTest, TheEndOfTheVmmEndsEverything) {
  start();
  answer_reset();
  Peer running = open_command();
  Peer waiting = command();
  guest_->close();
  EXPECT_TRUE(running.sees_end());
  EXPECT_TRUE(waiting.sees_end());
  thread_.join();
}

TEST_F(MuxTest, AGuestThatIgnoresTheWindowIsCutOff) {
  start();
  answer_reset();
  Peer running = open_command();  // reads nothing
  running.send("{\"type\":\"exec\",\"argv\":[\"a\"]}\n");
  guest_->line();
  std::string flood =
      "{\"session\":1,\"type\":\"stdout\",\"data\":\"" + std::string(60000, 'A') + "\"}\n";
  bool taken = true;
  for (int i = 0; i < 1000 && taken; ++i) taken = guest_->send(flood);
  EXPECT_FALSE(taken);
  thread_.join();
}

TEST_F(MuxTest, AnEndlessLineIsCutOff) {
  start();
  answer_reset();
  std::string flood(1 << 20, 'x');
  bool taken = true;
  for (int i = 0; i < 64 && taken; ++i) taken = guest_->send(flood);
  EXPECT_FALSE(taken);
  thread_.join();
}

TEST_F(MuxTest, EndsWhenNobodyNeedsIt) {
  start(std::chrono::milliseconds(200));
  thread_.join();
}

// So much waits from the beginning on that the mux never finds the guest silent before it has read
// it all, and no time to linger is left: it goes with most of it unread.
TEST_F(MuxTest, ABusyGuestAloneDoesNotKeepIt) {
  auto [ours, theirs] = socket_pair();
  const int room = 8 << 20;
  if (setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0) {
    GTEST_SKIP() << "needs root for a buffer of that size";
  }
  const std::string junk(4 << 20, '\n');
  ssize_t put = 1;
  std::size_t queued = 0;
  while (queued < junk.size() && put > 0) {
    put = ::send(ours.get(), junk.data(), junk.size() - queued, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) queued += static_cast<std::size_t>(put);
  }
  ASSERT_GT(queued, std::size_t{1} << 20);
  const int link = theirs.release();
  mux::Mux mux(mux::UniqueFd(), mux::UniqueFd(link), {std::chrono::milliseconds(0)});
  mux.run();
  int unread = 0;
  ASSERT_EQ(ioctl(link, FIONREAD, &unread), 0);
  EXPECT_GT(unread, 1 << 19);
}

TEST_F(MuxTest, AGuestThatAsksForResetsAndReadsNoneIsCutOff) {
  start();
  std::string flood;
  while (flood.size() < 1 << 20) flood += "{\"type\":\"hello\"}\n";
  bool taken = true;
  for (int i = 0; i < 64 && taken; ++i) taken = guest_->send(flood);
  EXPECT_FALSE(taken);
  thread_.join();
}

TEST_F(MuxTest, RefusesACommandOutOfForm) {
  start();
  answer_reset();
  Peer peer = command();
  EXPECT_EQ(peer.line(), "OK 1024");
  peer.send("no frame\n");
  EXPECT_TRUE(peer.sees_end());
}

}  // namespace
}  // namespace cocoon::agent::test
