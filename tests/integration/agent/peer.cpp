// SPDX-License-Identifier: Apache-2.0
#include "integration/agent/peer.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace cocoon::agent::test {

std::pair<sys::UniqueFd, sys::UniqueFd> socket_pair() {
  std::array<int, 2> ends{-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) abort();
  return {sys::UniqueFd(ends[0]), sys::UniqueFd(ends[1])};
}

bool Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t put = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
      continue;
    }
    if (put < 0 && errno != EAGAIN && errno != EINTR) return false;
    pollfd entry{fd_.get(), POLLOUT, 0};
    if (poll(&entry, 1, 5000) <= 0) return false;
  }
  return true;
}

bool Peer::fill(std::chrono::milliseconds limit) {
  pollfd entry{fd_.get(), POLLIN, 0};
  if (poll(&entry, 1, static_cast<int>(limit.count())) <= 0) return false;
  std::array<char, 65536> bytes{};
  ssize_t got = recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got <= 0) return false;
  reader_.feed({bytes.data(), static_cast<std::size_t>(got)});
  return true;
}

std::string Peer::line(std::chrono::milliseconds limit) {
  std::string_view found;
  while (!reader_.next(found)) {
    if (!fill(limit)) return "";
  }
  return std::string(found);
}

agent_wire::Frame Peer::frame() {
  agent_wire::Frame result;
  if (!agent_wire::parse_frame(line(), result)) result = {};
  return result;
}

bool Peer::sees_end(std::chrono::milliseconds limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    pollfd entry{fd_.get(), POLLIN, 0};
    if (poll(&entry, 1, 100) <= 0) continue;
    std::array<char, 65536> bytes{};
    ssize_t got = recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return true;
  }
  return false;
}

}  // namespace cocoon::agent::test
