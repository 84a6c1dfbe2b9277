// SPDX-License-Identifier: Apache-2.0
#include "sys/line_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

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

Result<void> LineChannel::fill(Deadline deadline) {
  std::array<char, 16384> chunk{};
  while (true) {
    COCOON_TRY(wait_for(socket_.get(), POLLIN, deadline));
    ssize_t got = recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got == 0 || (got < 0 && is_gone(errno))) return peer_gone();
    if (got < 0) return fail_errno("read from a socket");
    auto size = static_cast<std::size_t>(got);
    total_ += size;
    if (total_ > limits_.total) {
      return fail(ErrorKind::kCorrupt, "the other side sent more than {} bytes", limits_.total);
    }
    buffer_.append(chunk.data(), size);
    return {};
  }
}

Result<std::string> LineChannel::read_line(Deadline deadline) {
  while (true) {
    std::size_t end = buffer_.find('\n', scanned_);
    std::size_t length = end == std::string::npos ? buffer_.size() : end;
    if (length > limits_.line) {
      return fail(ErrorKind::kCorrupt, "the other side sent a line of more than {} bytes",
                  limits_.line);
    }
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      scanned_ = 0;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return line;
    }
    scanned_ = buffer_.size();
    COCOON_TRY(fill(deadline));
  }
}

Result<void> LineChannel::write(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    ssize_t put = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
      continue;
    }
    if (errno == EINTR) continue;
    if (is_gone(errno)) return peer_gone();
    if (errno != EAGAIN) return fail_errno("write to a socket");
    COCOON_TRY(wait_for(socket_.get(), POLLOUT, deadline));
  }
  return {};
}

}  // namespace cocoon::sys
