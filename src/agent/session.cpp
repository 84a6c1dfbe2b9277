// SPDX-License-Identifier: Apache-2.0
#include "agent/session.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "sys/cancel.h"

namespace cocoon::agent {
namespace {

namespace type = agent_wire::type;

// Bytes of a conversation that ends with one answer.
constexpr std::size_t kMaxConversation = std::size_t{16} << 20;

bool is_last(std::string_view name) {
  return name == type::kExit || name == type::kError || name == type::kDone;
}

Failure lost() {
  return fail(ErrorKind::kVmm,
              "the connection to the guest's agent was lost: the VM ended or was restarted");
}

bool is_gone(int error) { return error == ECONNRESET || error == EPIPE || error == ENOTCONN; }

}  // namespace

void Session::send_stdin(std::string_view bytes) {
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, agent_wire::kDataPiece);
    agent_wire::append_data_frame(out_, type::kStdin, piece);
    bytes.remove_prefix(piece.size());
  }
}

void Session::close_stdin() {
  agent_wire::Frame frame;
  frame.type = type::kStdinClose;
  send(frame);
}

Result<void> Session::flush() {
  while (sent_ < out_.size()) {
    ssize_t put = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    // What the guest said before it closed is still to be read; its end is seen there.
    if (put < 0 && is_gone(errno)) break;
    if (put < 0) return fail_errno("write to the agent");
    sent_ += static_cast<std::size_t>(put);
  }
  out_.erase(0, sent_);
  sent_ = 0;
  return {};
}

Result<void> Session::fill() {
  std::array<char, 64 * 1024> bytes{};
  ssize_t got = recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (got == 0 || (got < 0 && is_gone(errno))) return lost();
  if (got < 0) return fail_errno("read from the agent");
  reader_.feed({bytes.data(), static_cast<std::size_t>(got)});
  return {};
}

Result<std::optional<agent_wire::Frame>> Session::next() {
  std::string_view line;
  if (!reader_.next(line)) {
    if (reader_.too_long()) {
      return fail(ErrorKind::kCorrupt, "the guest's agent sent a line of more than {} bytes",
                  agent_wire::kMaxLine);
    }
    return std::optional<agent_wire::Frame>();
  }
  agent_wire::Frame frame;
  if (!agent_wire::parse_frame(line, frame)) {
    return fail(ErrorKind::kCorrupt, "the guest's agent sent a malformed frame");
  }
  return std::optional(std::move(frame));
}

Result<agent_wire::Frame> Session::wait_last(Deadline deadline) {
  std::size_t total = 0;
  while (true) {
    COCOON_TRY(flush());
    while (auto frame = COCOON_TRY(next())) {
      if (is_last(frame->type)) return std::move(*frame);
    }
    short wanted = static_cast<short>(pending() > 0 ? POLLIN | POLLOUT : POLLIN);
    std::array<pollfd, 2> set{pollfd{fd(), wanted, 0}, pollfd{sys::cancel_fd(), POLLIN, 0}};
    int happened = poll(set.data(), set.size(), static_cast<int>(time_left(deadline).count()));
    if (happened < 0 && errno != EINTR) return fail_errno("wait for the agent");
    COCOON_TRY(sys::check_cancelled());
    if (time_left(deadline).count() == 0) {
      return fail(ErrorKind::kTimeout, "the guest's agent gave no answer in time");
    }
    if (set[0].revents == 0) continue;
    std::size_t before = reader_.pending();
    if ((set[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) COCOON_TRY(fill());
    total += reader_.pending() - std::min(before, reader_.pending());
    if (total > kMaxConversation) {
      return fail(ErrorKind::kCorrupt, "the guest's agent sends without end");
    }
  }
}

}  // namespace cocoon::agent
