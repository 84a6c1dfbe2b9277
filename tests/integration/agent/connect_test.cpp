// SPDX-License-Identifier: Apache-2.0
// The client of hybrid vsock sockets against a VMM that the test plays.
#include "agent/connect.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "integration/agent/peer.h"
#include "sys/files.h"

namespace cocoon::agent::test {
namespace {

class Vmm {
 public:
  Vmm() {
    std::string name = (std::filesystem::temp_directory_path() / "cocoon-vsock-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    dir = name;
    dirfd = *sys::open_dir(dir);
  }
  ~Vmm() {
    if (thread_.joinable()) thread_.join();
    std::filesystem::remove_all(dir);
  }

  void listen() {
    listener_ = sys::UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string path = dir + "/vsock";
    std::memcpy(address.sun_path, path.data(), path.size());
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener_.get(), 8), 0);
  }
  // Plays every connection by `play`, `count` times.
  void serve(int count, std::function<void(Peer&, int)> play) {
    thread_ = std::thread([this, count, play = std::move(play)] {
      for (int i = 0; i < count; ++i) {
        Peer peer(sys::UniqueFd(accept(listener_.get(), nullptr, nullptr)));
        play(peer, i);
      }
    });
  }
  void join() { thread_.join(); }
  Result<sys::UniqueFd> connect(Milliseconds limit, bool once = false) {
    Connect how;
    how.once = once;
    how.dir = dirfd.get();
    how.socket = "vsock";
    how.port = 1024;
    how.on_wait = [this] { ++told; };
    return connect_agent(how, deadline_in(limit));
  }

  std::string dir;
  sys::UniqueFd dirfd;
  int told = 0;

 private:
  sys::UniqueFd listener_;
  std::thread thread_;
};

TEST(ConnectAgent, SaysConnectAndTakesTheStreamAfterOk) {
  Vmm vmm;
  vmm.listen();
  std::string asked;
  vmm.serve(1, [&](Peer& peer, int) {
    asked = peer.line();
    peer.send("OK 1073741824\n{\"type\":\"exit\"}\n");
    peer.sees_end();
  });
  {
    auto stream = vmm.connect(Milliseconds(10'000));
    ASSERT_TRUE(stream) << stream.error().to_string();
    Peer session(std::move(*stream));
    EXPECT_EQ(session.line(), R"({"type":"exit"})");  // not a byte of it was swallowed
  }
  vmm.join();
  EXPECT_EQ(asked, "CONNECT 1024");
}

TEST(ConnectAgent, TriesAgainWhileNobodyListensInTheGuest) {
  Vmm vmm;
  vmm.listen();
  vmm.serve(4, [](Peer& peer, int round) {
    peer.line();
    if (round == 3) {
      peer.send("OK 7\n");
      peer.sees_end();
    }
  });
  auto stream = vmm.connect(Milliseconds(20'000));
  EXPECT_TRUE(stream);
}

TEST(ConnectAgent, AskedOnceTakesNobodyForAnAnswer) {
  Vmm vmm;
  vmm.listen();
  int asked = 0;
  vmm.serve(1, [&asked](Peer& peer, int) {
    peer.line();
    ++asked;
  });
  auto stream = vmm.connect(Milliseconds(20'000), true);
  vmm.join();
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(asked, 1);
}

TEST(ConnectAgent, GivesUpAtTheDeadlineAndTellsWhatItWaitsFor) {
  Vmm vmm;  // no socket at all
  auto begun = std::chrono::steady_clock::now();
  auto stream = vmm.connect(Milliseconds(2'500));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().kind, ErrorKind::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, Milliseconds(10'000));
  EXPECT_EQ(vmm.told, 1);
}

TEST(ConnectAgent, ASilentVmmCannotHoldItPastTheDeadline) {
  for (bool once : {false, true}) {
    Vmm vmm;
    vmm.listen();
    vmm.serve(1, [](Peer& peer, int) { peer.sees_end(); });
    auto stream = vmm.connect(Milliseconds(1'000), once);
    ASSERT_FALSE(stream);
    EXPECT_EQ(stream.error().kind, ErrorKind::kTimeout) << "silence is no answer";
  }
}

TEST(ConnectAgent, RefusesAnythingButOk) {
  for (const char* answer : {"NO\n", "HTTP/1.1 200 OK\n", "OK", "\n"}) {
    Vmm vmm;
    vmm.listen();
    std::string text = answer;
    if (text == "OK") text = std::string(1000, 'x');  // a line without end
    vmm.serve(1, [text](Peer& peer, int) {
      peer.line();
      peer.send(text);
      peer.sees_end();
    });
    auto stream = vmm.connect(Milliseconds(5'000));
    ASSERT_FALSE(stream) << answer;
    EXPECT_EQ(stream.error().kind, ErrorKind::kCorrupt) << answer;
  }
}

TEST(ConnectAgent, RefusesASocketThatIsALink) {
  Vmm vmm;
  std::filesystem::create_symlink("/dev/null", vmm.dir + "/vsock");
  auto stream = vmm.connect(Milliseconds(2'000));
  ASSERT_FALSE(stream);
  EXPECT_NE(stream.error().kind, ErrorKind::kTimeout);
}

}  // namespace
}  // namespace cocoon::agent::test
