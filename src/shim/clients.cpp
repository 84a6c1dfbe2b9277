// SPDX-License-Identifier: Apache-2.0
#include "shim/clients.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "shim/request.h"
#include "shim/sockets.h"
#include "shim/text.h"

namespace cocoon::shim {
namespace {

using Reply = Text<128>;

bool would_block() { return errno == EAGAIN || errno == EINTR; }

// recv() without blocking. A peer that leaves without having read everything makes the first call
// fail with ECONNRESET; what it sent before comes after that.
ssize_t receive_now(int socket, std::span<char> buffer, int flags) {
  const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT | flags);
  if (size >= 0 || errno != ECONNRESET) return size;
  return ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT | flags);
}

}  // namespace

void Clients::drop(std::size_t place) {
  if (is_writer(place)) writer_ = kNobody;
  clients_[place].close();
}

std::size_t Clients::free_place() const {
  for (const Client::Phase wanted : {Client::Phase::kFree, Client::Phase::kGreeting}) {
    for (std::size_t place = 0; place < clients_.size(); ++place) {
      if (clients_[place].phase() == wanted) return place;
    }
  }
  return kMaxClients;
}

bool Clients::accept_from(int listener, ClientKind kind) {
  UniqueFd socket(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.valid()) return would_block() || errno == ECONNABORTED;
  const Peer peer = peer_of(socket.get());
  // The sockets are root's 0600; this holds even if someone hands a connection out.
  if (kind == ClientKind::kPacket && peer.uid != ::geteuid()) return true;
  const std::size_t place = free_place();
  if (place == kMaxClients) return true;
  drop(place);
  clients_[place].open(std::move(socket), peer.pid, kind);
  if (kind == ClientKind::kStream) clients_[place].start_console(console_.ring());
  return true;
}

void Clients::fill(std::span<pollfd, kMaxClients> entries) const {
  for (std::size_t place = 0; place < clients_.size(); ++place) {
    const Client& client = clients_[place];
    entries[place] = {-1, 0, 0};
    if (client.phase() == Client::Phase::kFree) continue;
    // A writer whose input the guest does not take is not read from, and not watched at all: its
    // hang-up would be reported over and over while bytes of it are still to be read.
    if (is_writer(place) && console_.has_input()) continue;
    entries[place].fd = client.fd();
    if (!client.input_ended()) entries[place].events |= POLLIN;
    if (client.lags(console_.ring())) entries[place].events |= POLLOUT;
  }
}

void Clients::handle(std::span<const pollfd, kMaxClients> entries) {
  for (std::size_t place = 0; place < clients_.size(); ++place) {
    const pollfd& entry = entries[place];
    // The place may have changed hands since fill(): only what is still the same socket counts.
    if (entry.fd < 0 || entry.fd != clients_[place].fd()) continue;
    if ((entry.revents & POLLIN) != 0) {
      receive(place);
    } else if ((entry.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
      drop(place);
    }
  }
}

void Clients::receive(std::size_t place) {
  if (clients_[place].kind() == ClientKind::kPacket) {
    receive_packet(place);
  } else {
    receive_stream(place);
  }
}

void Clients::receive_packet(std::size_t place) {
  std::array<char, Client::kMaxPacket> buffer;
  const ssize_t size = receive_now(clients_[place].fd(), buffer, MSG_TRUNC);
  if (size < 0 && would_block()) return;
  // With MSG_TRUNC the size is the packet's own. An empty packet looks like the end and is no
  // request either.
  const bool good = size > 0 && static_cast<std::size_t>(size) <= buffer.size();
  if (!good) return drop(place);
  const std::string_view packet(buffer.data(), static_cast<std::size_t>(size));
  const bool keep = clients_[place].phase() == Client::Phase::kGreeting
                        ? greet(place, packet)
                        : take_packet(place, packet);
  if (!keep) drop(place);
}

void Clients::receive_stream(std::size_t place) {
  Client& client = clients_[place];
  std::array<char, 4096> buffer;
  const ssize_t size = receive_now(client.fd(), buffer, 0);
  if (size < 0) {
    if (!would_block()) drop(place);
    return;
  }
  if (size == 0) {
    // It may only have shut down its sending side and still read, as `socat` does.
    client.end_input();
    if (is_writer(place)) writer_ = kNobody;
    return;
  }
  if (writer_ == kNobody) writer_ = static_cast<int>(place);
  if (!is_writer(place)) return;
  console_.add_input({buffer.data(), static_cast<std::size_t>(size)});
  console_.push_input();
}

bool Clients::greet(std::size_t place, std::string_view packet) {
  const std::optional<Request> request = parse_request(packet);
  if (!request) return false;
  switch (*request) {
    case Request::kStatus:
      send_status(place);
      return false;
    case Request::kConsoleRead:
      return attach(place, false, false);
    case Request::kConsoleWrite:
      return attach(place, true, false);
    case Request::kConsoleSteal:
      return attach(place, true, true);
  }
  return false;
}

bool Clients::attach(std::size_t place, bool wants_write, bool steal) {
  Client& client = clients_[place];
  if (wants_write && steal && writer_ != kNobody) {
    clients_[static_cast<std::size_t>(writer_)].tell_write_lost();
    writer_ = kNobody;
  }
  Reply reply("ok ");
  if (wants_write && writer_ == kNobody) {
    writer_ = static_cast<int>(place);
    reply.add("write");
  } else {
    reply.add("read ");
    if (writer_ == kNobody) {
      reply.add("-");
    } else {
      reply.add_number(clients_[static_cast<std::size_t>(writer_)].pid());
    }
  }
  client.start_console(console_.ring());
  return client.reply(reply.view());
}

void Clients::send_status(std::size_t place) {
  int readers = 0;
  for (std::size_t other = 0; other < clients_.size(); ++other) {
    if (clients_[other].phase() == Client::Phase::kConsole && !is_writer(other)) ++readers;
  }
  Reply reply("vmm ");
  reply.add_number(vmm_.pid).add(" ").add_number(vmm_.start_time).add(" writer ");
  if (writer_ == kNobody) {
    reply.add("-");
  } else {
    reply.add_number(clients_[static_cast<std::size_t>(writer_)].pid());
  }
  reply.add(" readers ").add_number(readers);
  static_cast<void>(clients_[place].reply(reply.view()));
}

bool Clients::take_packet(std::size_t place, std::string_view packet) {
  const char tag = packet.front();
  packet.remove_prefix(1);
  if (tag == 'i') {
    if (!is_writer(place)) return true;
    console_.add_input(packet);
    console_.push_input();
    return true;
  }
  if (tag != 'w') return false;
  const std::optional<WindowSize> size = parse_window_size(packet);
  if (size && is_writer(place)) console_.resize(size->rows, size->columns);
  return size.has_value();
}

void Clients::flush() {
  for (Client& client : clients_) client.flush(console_.ring());
}

bool Clients::any_lags() const {
  for (const Client& client : clients_) {
    if (client.lags(console_.ring())) return true;
  }
  return false;
}

void Clients::end(std::string_view reason) {
  Line packet("e");
  packet.add(reason);
  for (std::size_t place = 0; place < clients_.size(); ++place) {
    const Client& client = clients_[place];
    const bool listens =
        client.phase() == Client::Phase::kConsole && client.kind() == ClientKind::kPacket;
    if (listens) static_cast<void>(clients_[place].reply(packet.view()));
    drop(place);
  }
}

}  // namespace cocoon::shim
