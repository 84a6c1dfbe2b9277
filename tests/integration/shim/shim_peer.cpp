// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "integration/shim/shim_fixture.h"

namespace cocoon::shim_test {

Peer::Peer(const std::filesystem::path& socket, int type) : framed_(type == SOCK_SEQPACKET) {
  const int fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    fd_ = fd;
  } else {
    ::close(fd);
  }
}

Peer::Peer(Peer&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      framed_(other.framed_),
      output_(std::move(other.output_)),
      notices_(std::move(other.notices_)) {}

Peer::~Peer() { close(); }

void Peer::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool Peer::send(std::string_view packet) const {
  return ::send(fd_, packet.data(), packet.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(packet.size());
}

std::optional<std::string> Peer::receive(milliseconds limit) const {
  pollfd entry{fd_, POLLIN, 0};
  if (::poll(&entry, 1, static_cast<int>(limit.count())) <= 0) return std::nullopt;
  std::array<char, 64 * 1024> buffer;
  const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), 0);
  return size <= 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(size));
}

bool Peer::take(milliseconds limit) {
  const std::optional<std::string> packet = receive(limit);
  if (!packet || packet->empty()) return false;
  if (!framed_) {
    output_ += *packet;
  } else if (packet->front() == 'o') {
    output_ += packet->substr(1);
  } else {
    notices_.push_back(*packet);
  }
  return true;
}

bool Peer::wait_for(std::string_view text, milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::size_t searched = 0;
  while (output_.find(text, searched) == std::string::npos) {
    searched = output_.size() < text.size() ? 0 : output_.size() - text.size();
    if (std::chrono::steady_clock::now() > deadline || !take(limit)) return false;
  }
  return true;
}

std::optional<std::string> Peer::wait_for_notice(char tag, milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    const auto found = std::find_if(notices_.begin(), notices_.end(),
                                    [&](const std::string& n) { return n.front() == tag; });
    if (found != notices_.end()) {
      std::string rest = found->substr(1);
      notices_.erase(found);
      return rest;
    }
    if (!take(limit)) break;
  }
  return std::nullopt;
}

}  // namespace cocoon::shim_test
