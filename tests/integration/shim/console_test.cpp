// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "integration/shim/shim_fixture.h"

namespace cocoon::shim_test {
namespace {

class ConsoleTest : public ShimTest {
 protected:
  // An input packet of this many bytes of text.
  static std::string input(std::size_t size) {
    std::string packet(size + 1, 'x');
    packet.front() = 'i';
    return packet;
  }

  // Sum of what the peer has been told that it missed.
  static std::size_t dropped(const Peer& peer) {
    std::size_t total = 0;
    for (const std::string& notice : peer.notices()) {
      if (notice.front() == 'd') total += std::stoul(notice.substr(1));
    }
    return total;
  }
};

TEST_F(ConsoleTest, LateReadersGetTheScrollBack) {
  launch({"say:early", "echo"});
  Peer one = console("console read");
  EXPECT_TRUE(one.wait_for("early\r\n"));
  Peer two = console("console read");
  EXPECT_TRUE(two.wait_for("early\r\n"));
  Peer raw = raw_console();
  EXPECT_TRUE(raw.wait_for("early\r\n"));
}

TEST_F(ConsoleTest, EveryReaderSeesWhatTheWriterCauses) {
  launch({"echo"});
  Peer reader = console("console read");
  Peer raw = raw_console();
  std::string answer;
  Peer writer = console("console write", &answer);
  EXPECT_EQ(answer, "ok write");
  EXPECT_TRUE(status().ends_with("writer " + std::to_string(::getpid()) + " readers 2"));
  writer.send("ihello");
  for (Peer* peer : {&writer, &reader, &raw}) EXPECT_TRUE(peer->wait_for("hello"));
}

TEST_F(ConsoleTest, OnlyOneWriter) {
  launch({"echo"});
  Peer writer = console("console write");
  std::string answer;
  Peer second = console("console write", &answer);
  EXPECT_EQ(answer, "ok read " + std::to_string(::getpid()));
  second.send("iNO");
  second.send("w99 99");
  writer.send("iyes");
  EXPECT_TRUE(second.wait_for("yes"));
  EXPECT_EQ(second.output(), "yes");
}

TEST_F(ConsoleTest, StealingTellsTheOldWriter) {
  launch({"echo"});
  Peer old = console("console write");
  std::string answer;
  Peer thief = console("console steal", &answer);
  EXPECT_EQ(answer, "ok write");
  EXPECT_EQ(old.wait_for_notice('l'), "");
  old.send("iNO");
  thief.send("iyes");
  EXPECT_TRUE(old.wait_for("yes"));
  EXPECT_EQ(old.output(), "yes");
}

TEST_F(ConsoleTest, ReadersMayNotWriteEvenWithoutAWriter) {
  launch({"echo"});
  std::string answer;
  Peer reader = console("console read", &answer);
  EXPECT_EQ(answer, "ok read -");
  reader.send("iNO");
  Peer writer = console("console write");
  writer.send("iyes");
  EXPECT_TRUE(reader.wait_for("yes"));
  EXPECT_EQ(reader.output(), "yes");
}

TEST_F(ConsoleTest, WriteRightIsFreeAgainWhenTheWriterLeaves) {
  launch({"echo"});
  console("console write").close();
  EXPECT_TRUE(eventually([&] { return status().ends_with("writer - readers 0"); }));
  std::string answer;
  console("console write", &answer);
  EXPECT_EQ(answer, "ok write");
}

TEST_F(ConsoleTest, InputOfAWriterThatLeavesAtOnceArrives) {
  launch({"flood:2000", "say:up", "echo"});
  Peer reader = console("console read");
  EXPECT_TRUE(reader.wait_for("up\r\n"));
  for (int round = 0; round < 50; ++round) {
    // It has not read its scroll-back when it goes.
    Peer writer = console("console write");
    writer.send("ia");
    writer.send("ib");
    writer.send("i.");
    writer.close();
    reader.forget_output();
    ASSERT_TRUE(reader.wait_for("ab.")) << round;
    ASSERT_TRUE(eventually([&] { return status().ends_with("writer - readers 1"); }));
  }
}

TEST_F(ConsoleTest, CtrlCIsAByteAndNoSignal) {
  launch({"echo"});
  Peer writer = console("console write");
  writer.send(std::string_view("i\x03\x1a\x1c\r\0z", 7));
  EXPECT_TRUE(writer.wait_for("<3><26><28><13><0>z"));
  EXPECT_EQ(writer.output().find("SIGINT"), std::string::npos);
}

TEST_F(ConsoleTest, WindowSizeReachesTheVmm) {
  launch({"say:up", "echo"});
  Peer writer = console("console write");
  EXPECT_TRUE(writer.wait_for("up"));  // its signal handler is set now
  writer.send("w50 132");
  EXPECT_TRUE(writer.wait_for("[size 50 132]"));
}

TEST_F(ConsoleTest, RawClientWritesWhenNobodyElseDoes) {
  launch({"echo"});
  Peer raw = raw_console();
  raw.send("abc");
  EXPECT_TRUE(raw.wait_for("abc"));
  std::string answer;
  Peer second = console("console write", &answer);
  EXPECT_EQ(answer, "ok read " + std::to_string(::getpid()));
  // A peer that has stopped sending still reads, and no longer holds the right.
  ::shutdown(raw.fd(), SHUT_WR);
  EXPECT_TRUE(eventually([&] { return status().ends_with("writer - readers 2"); }));
  Peer third = console("console write");
  third.send("idef");
  EXPECT_TRUE(raw.wait_for("def"));
}

TEST_F(ConsoleTest, RawInputIsDiscardedWhileAnotherWrites) {
  launch({"echo"});
  Peer writer = console("console write");
  Peer raw = raw_console();
  raw.send("NO");
  writer.send("iyes");
  EXPECT_TRUE(raw.wait_for("yes"));
  EXPECT_EQ(raw.output(), "yes");
}

TEST_F(ConsoleTest, SlowReaderBlocksNobodyAndLearnsWhatItMissed) {
  launch({"say:first", "echo", "flood:40000", "say:last", "echo"});
  Peer slow = console("console read");
  Peer slow_raw = raw_console();
  Peer writer = console("console write");
  EXPECT_TRUE(writer.wait_for("first"));
  writer.send("iq");
  EXPECT_TRUE(writer.wait_for("last\r\n"));
  // The writer has everything before the slow ones have read a byte.
  EXPECT_TRUE(slow.wait_for("last\r\n"));
  EXPECT_GT(dropped(slow), 1000U * 1000);
  constexpr std::size_t kTotal = std::size_t{40000} * 64 + 7 + 6;
  EXPECT_EQ(slow.output().size() + dropped(slow), kTotal);
  EXPECT_EQ(writer.output().size() + dropped(writer), kTotal);
  EXPECT_TRUE(slow_raw.wait_for("last\r\n"));
  EXPECT_LT(slow_raw.output().size(), kTotal);
}

TEST_F(ConsoleTest, GuestThatReadsNothingHoldsUpItsWriterOnly) {
  launch({"say:up", "sleep:1500", "echo"});
  Peer writer = console("console write");
  EXPECT_TRUE(writer.wait_for("up\r\n"));
  const std::string piece = input(4000);
  for (int i = 0; i < 25; ++i) ASSERT_TRUE(writer.send(piece));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(status().starts_with("vmm "));
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(500));
  EXPECT_TRUE(eventually([&] {
    writer.wait_for("\xff", milliseconds(20));
    return writer.output().size() >= 4 + 25U * 4000;
  }));
  EXPECT_EQ(writer.output(), "up\r\n" + std::string(std::size_t{25} * 4000, 'x'));
}

TEST_F(ConsoleTest, VmmThatMakesTheConsoleBlockHarmsOnlyItself) {
  const Running shim = launch({"say:up", "blocking"});
  Peer writer = console("console write");
  EXPECT_TRUE(writer.wait_for("up\r\n"));
  const std::string piece = input(16000);
  for (int i = 0; i < 8; ++i) ::send(writer.fd(), piece.data(), piece.size(), MSG_DONTWAIT);
  EXPECT_TRUE(eventually([&] { return status().starts_with("vmm "); }));
  ::kill(vmm(), SIGKILL);
  EXPECT_NE(exit_record().find("SIGKILL"), std::string::npos);
  EXPECT_EQ(exit_code(shim.pid), 0);
}

TEST_F(ConsoleTest, SixteenClientsAndNoMore) {
  launch({"say:up", "echo"});
  std::vector<Peer> peers;
  for (int i = 0; i < 16; ++i) {
    std::string answer;
    peers.push_back(console("console read", &answer));
    ASSERT_EQ(answer, "ok read -") << i;
  }
  std::string answer;
  console("console read", &answer);
  EXPECT_EQ(answer, "");
  peers.pop_back();
  EXPECT_TRUE(eventually([&] { return status().ends_with("readers 15"); }));
  for (Peer& peer : peers) EXPECT_TRUE(peer.wait_for("up"));
}

TEST_F(ConsoleTest, SilentConnectionsGiveWay) {
  launch({"idle"});
  std::vector<Peer> silent;
  for (int i = 0; i < 40; ++i) silent.emplace_back(vm_dir_ / "shim.sock", SOCK_SEQPACKET);
  EXPECT_TRUE(eventually([&] { return status().starts_with("vmm "); }));
}

// A shim that has few descriptors, or too few even to poll.
class ShortOfDescriptors : public ConsoleTest, public testing::WithParamInterface<rlim_t> {};

TEST_P(ShortOfDescriptors, WaitsAndDoesNotSpin) {
  const Running shim = launch({"idle"});
  const rlimit few{GetParam(), 4096};
  ASSERT_EQ(::prlimit(shim.pid, RLIMIT_NOFILE, &few, nullptr), 0);
  std::vector<Peer> waiting;
  for (int i = 0; i < 12; ++i) {
    waiting.emplace_back(vm_dir_ / "shim.sock", SOCK_SEQPACKET);
    waiting.back().send("console read");
  }
  EXPECT_EQ(waiting.back().receive(milliseconds(300)), std::nullopt);
  const long before = cpu_ticks(shim.pid);
  EXPECT_EQ(waiting.back().receive(milliseconds(1500)), std::nullopt);
  EXPECT_LE(cpu_ticks(shim.pid) - before, 5);
  const rlimit enough{1024, 4096};
  ASSERT_EQ(::prlimit(shim.pid, RLIMIT_NOFILE, &enough, nullptr), 0);
  for (Peer& peer : waiting) EXPECT_EQ(peer.receive(), "ok read -");
}

INSTANTIATE_TEST_SUITE_P(Limits, ShortOfDescriptors, testing::Values(3, 22));

TEST_F(ConsoleTest, NonsenseEndsTheConnection) {
  launch({"echo"});
  for (const std::string& first :
       {std::string("hello"), std::string("status\n"), std::string("console"),
        std::string("console write "), std::string(1, '\0'), std::string(40000, 'x')}) {
    std::string answer;
    console(first, &answer);
    EXPECT_EQ(answer, "") << first.substr(0, 20);
  }
  for (const std::string& later : {std::string("x"), std::string("w"), std::string("w0 0"),
                                   std::string("w1 2 3"), std::string("w70000 1"), input(16384)}) {
    Peer writer = console("console write");
    writer.send(later);
    EXPECT_EQ(writer.receive(), "") << later.substr(0, 20);
  }
  EXPECT_TRUE(status().ends_with("writer - readers 0"));
}

TEST_F(ConsoleTest, RandomPacketsDoNoHarm) {
  const Running shim = launch({"eat", "say:alive", "echo"});
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same bytes in every run
  const std::vector<std::string> words = {
      "status", "console read", "console write", "console steal", "i", "w", "w24 80", "l", ""};
  for (int round = 0; round < 400; ++round) {
    Peer peer(vm_dir_ / (round % 8 == 0 ? "console.sock" : "shim.sock"),
              round % 8 == 0 ? SOCK_STREAM : SOCK_SEQPACKET);
    for (unsigned i = 0; i < random() % 6; ++i) {
      std::string packet = words[random() % words.size()];
      if (random() % 3 == 0) packet.resize(packet.size() + random() % 3000);
      for (char& c : packet) {
        if (random() % 16 == 0) c = static_cast<char>(random() % 256);
        if (c == 'q') c = 'Q';
      }
      ::send(peer.fd(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  }
  Peer writer = console("console steal");
  writer.send("iq");
  EXPECT_TRUE(writer.wait_for("alive"));
  writer.forget_output();
  writer.send("istill");
  EXPECT_TRUE(writer.wait_for("still"));
  EXPECT_TRUE(eventually([&] { return status_field(shim.pid, "State").starts_with("S"); }));
}

TEST_F(ConsoleTest, ClientsAreToldHowTheVmmEnded) {
  launch({"echo", "say:bye", "exit:0"});
  Peer reader = console("console read");
  Peer raw = raw_console();
  console("console write").send("iq");
  EXPECT_EQ(reader.wait_for_notice('e'), "guest power-off");
  EXPECT_TRUE(reader.wait_for("bye\r\n"));
  EXPECT_TRUE(raw.wait_for("bye\r\n"));
  EXPECT_EQ(raw.receive(), "");
}

}  // namespace
}  // namespace cocoon::shim_test
