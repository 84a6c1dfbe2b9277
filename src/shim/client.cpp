// SPDX-License-Identifier: Apache-2.0
#include "shim/client.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "shim/text.h"

namespace cocoon::shim {
namespace {

// Output per packet: small enough that a socket buffer holds several.
constexpr std::size_t kOutputPiece = 8 * 1024;

}  // namespace

void Client::open(UniqueFd socket, pid_t pid, ClientKind kind) {
  *this = Client();
  socket_ = std::move(socket);
  pid_ = pid;
  kind_ = kind;
  phase_ = Phase::kGreeting;
}

void Client::close() { *this = Client(); }

void Client::start_console(const Ring& ring) {
  phase_ = Phase::kConsole;
  position_ = ring.begin();
}

// MSG_NOSIGNAL and MSG_DONTWAIT: nothing a client does may stop the shim.
Client::Sent Client::send_packet(std::string_view tag, std::string_view body) {
  // sendmsg only reads, but iovec knows no const.
  std::array<iovec, 2> parts = {
      {{const_cast<char*>(tag.data()), tag.size()}, {const_cast<char*>(body.data()), body.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return Sent::kAll;
  return errno == EAGAIN || errno == EINTR ? Sent::kFull : Sent::kBroken;
}

bool Client::reply(std::string_view packet) { return send_packet(packet, {}) == Sent::kAll; }

bool Client::lags(const Ring& ring) const {
  return phase_ == Phase::kConsole && !output_ended_ &&
         (write_lost_ || dropped_ > 0 || position_ < ring.end());
}

Client::Sent Client::send_notices(const Ring& ring) {
  if (write_lost_) {
    if (const Sent sent = send_packet("l", {}); sent != Sent::kAll) return sent;
    write_lost_ = false;
  }
  if (position_ < ring.begin()) {
    dropped_ += ring.begin() - position_;
    position_ = ring.begin();
  }
  if (dropped_ > 0 && kind_ == ClientKind::kPacket) {
    Text<24> number;
    number.add_number(dropped_);
    if (const Sent sent = send_packet("d", number.view()); sent != Sent::kAll) return sent;
  }
  dropped_ = 0;
  return Sent::kAll;
}

Client::Sent Client::send_output(const Ring& ring) {
  while (position_ < ring.end()) {
    const std::string_view piece = ring.at(position_, kOutputPiece);
    if (kind_ == ClientKind::kPacket) {
      if (const Sent sent = send_packet("o", piece); sent != Sent::kAll) return sent;
      position_ += piece.size();
      continue;
    }
    const ssize_t size =
        ::send(socket_.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN || errno == EINTR ? Sent::kFull : Sent::kBroken;
    position_ += static_cast<std::uint64_t>(size);
  }
  return Sent::kAll;
}

void Client::flush(const Ring& ring) {
  if (!lags(ring)) return;
  Sent sent = send_notices(ring);
  if (sent == Sent::kAll) sent = send_output(ring);
  output_ended_ = sent == Sent::kBroken;
}

}  // namespace cocoon::shim
