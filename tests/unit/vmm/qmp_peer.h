// SPDX-License-Identifier: Apache-2.0
// A QMP peer that does what a test tells it, good and bad.
#pragma once

#include <sys/socket.h>

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include <gtest/gtest.h>

#include "sys/fd.h"

namespace cocoon::vmm::qemu::test {

inline constexpr std::string_view kGreeting =
    "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7}},\"capabilities\":[]}}\r\n";

// The other end of the socket, in the peer's thread.
class Peer {
 public:
  explicit Peer(sys::UniqueFd socket) : socket_(std::move(socket)) {}
  void say(std::string_view text) {
    while (!text.empty()) {
      ssize_t put = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (put <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(put));
    }
  }
  // The next command; empty when the client is gone.
  std::string hear() {
    std::string line;
    char c = 0;
    while (::recv(socket_.get(), &c, 1, 0) == 1) {
      if (c == '\n') return line;
      line += c;
    }
    return {};
  }
  void greet() {
    say(kGreeting);
    EXPECT_EQ(hear(), R"({"execute":"qmp_capabilities","id":1})");
    say("{\"return\": {}, \"id\": 1}\r\n");
  }
  // Closes so that the client sees a reset: data that nobody read is thrown away.
  void close() { socket_.reset(); }

 private:
  sys::UniqueFd socket_;
};

struct Conversation {
  sys::UniqueFd ours;
  std::thread peer;
  ~Conversation() {
    ours.reset();
    if (peer.joinable()) peer.join();
  }
};

inline Conversation talk(std::function<void(Peer&)> script) {
  std::array<int, 2> ends{};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {sys::UniqueFd(ends[0]), std::thread([fd = ends[1], script = std::move(script)] {
            Peer peer{sys::UniqueFd(fd)};
            script(peer);
          })};
}

}  // namespace cocoon::vmm::qemu::test
