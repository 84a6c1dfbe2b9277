// SPDX-License-Identifier: Apache-2.0
#include "sys/stream_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sys/cancel.h"

namespace cocoon::sys {
namespace {

Failure peer_gone() {
  return Failure(Error{ErrorKind::kSystem, "the other side closed the connection", {}, ECONNRESET});
}

// Waits until the socket can be read or written.
Result<void> wait_for(int fd, short events, Deadline deadline) {
  while (true) {
    std::array<pollfd, 2> entries{pollfd{fd, events, 0}, pollfd{cancel_fd(), POLLIN, 0}};
    int timeout = static_cast<int>(time_left(deadline).count());
    int ready = poll(entries.data(), entries.size(), timeout);
    if (ready < 0 && errno != EINTR) return fail_errno("wait for a socket");
    COCOON_TRY(check_cancelled());
    if (ready > 0 && entries[0].revents != 0) return {};
    if (time_left(deadline).count() == 0) return fail(ErrorKind::kTimeout, "no answer in time");
  }
}

bool is_gone(int error) { return error == ECONNRESET || error == EPIPE || error == ENOTCONN; }

}  // namespace

Result<std::size_t> receive_some(int socket, std::span<char> buffer, Deadline deadline) {
  while (true) {
    COCOON_TRY(wait_for(socket, POLLIN, deadline));
    ssize_t got = recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got == 0 || (got < 0 && is_gone(errno))) return peer_gone();
    if (got < 0) return fail_errno("read from a socket");
    return static_cast<std::size_t>(got);
  }
}

Result<void> send_all(int socket, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    ssize_t put = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
      continue;
    }
    if (errno == EINTR) continue;
    if (is_gone(errno)) return peer_gone();
    if (errno != EAGAIN) return fail_errno("write to a socket");
    COCOON_TRY(wait_for(socket, POLLOUT, deadline));
  }
  return {};
}

Result<void> send_with_fd(int socket, std::string_view bytes, int fd, Deadline deadline) {
  char first = bytes.front();
  iovec part{&first, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  while (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
    if (errno == EINTR) continue;
    if (is_gone(errno)) return peer_gone();
    if (errno != EAGAIN) return fail_errno("send a descriptor");
    COCOON_TRY(wait_for(socket, POLLOUT, deadline));
  }
  return send_all(socket, bytes.substr(1), deadline);
}

bool is_peer_gone(const Error& error) {
  return error.kind == ErrorKind::kSystem && error.saved_errno == ECONNRESET;
}

}  // namespace cocoon::sys
