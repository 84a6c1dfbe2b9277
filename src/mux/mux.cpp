// SPDX-License-Identifier: Apache-2.0
#include "mux/mux.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace cocoon::mux {
namespace {

constexpr std::size_t kMaxClients = 256;

std::string random_token() {
  std::array<unsigned char, 16> bytes{};
  (void)!::getrandom(bytes.data(), bytes.size(), 0);
  std::string token;
  for (const unsigned char byte : bytes) {
    token += "0123456789abcdef"[byte >> 4];
    token += "0123456789abcdef"[byte & 0xf];
  }
  return token;
}

}  // namespace

Mux::Mux(UniqueFd listener, UniqueFd link, MuxOptions options)
    : listener_(std::move(listener)), link_(std::move(link)), options_(options) {
  begin_reset();
}

void Mux::begin_reset() {
  ready_ = false;
  token_ = random_token();
  // What an earlier mux may have left half sent ends here.
  out_ += '\n';
  agent_wire::append_reset(out_, token_);
}

void Mux::run() {
  while (!over_) poll_once();
}

int Mux::timeout() const {
  if (!clients_.empty()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(idle_since_ + options_.linger - Clock::now());
  return left.count() > 0 ? static_cast<int>(left.count()) : 0;
}

void Mux::poll_once() {
  std::vector<pollfd> set;
  const bool room = clients_.size() < kMaxClients;
  set.push_back({.fd = room ? listener_.get() : -1, .events = POLLIN, .revents = 0});
  const short wanted = static_cast<short>(sent_ < out_.size() ? POLLIN | POLLOUT : POLLIN);
  set.push_back({.fd = link_.get(), .events = wanted, .revents = 0});
  for (const auto& client : clients_)
    set.push_back(
        {.fd = client->fd(), .events = client->events(ready_, link_has_room()), .revents = 0});

  if (::poll(set.data(), set.size(), timeout()) < 0) return;

  std::size_t at = 2;
  for (const auto& client : clients_) {
    const short got = set[at++].revents;
    // The room may have been taken by another one since it was asked for.
    if ((got & POLLIN) != 0 && (!client->is_open() || link_has_room())) client->read(out_);
    if ((got & (POLLHUP | POLLERR | POLLRDHUP)) != 0 && (got & POLLIN) == 0) client->drop();
  }
  if (set[1].revents != 0) read_link();
  if (set[0].revents != 0) accept_clients();
  collect();
  write_link();
  // However busy the guest keeps us: it alone is no reason to stay, nor to hold more and more.
  if (timeout() == 0 || out_.size() - sent_ > kLinkMost) over_ = true;
}

void Mux::accept_clients() {
  while (clients_.size() < kMaxClients) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    clients_.push_back(std::make_unique<Client>(std::move(fd), last_session_));
  }
}

void Mux::read_link() {
  std::array<char, 64 * 1024> bytes;
  const ssize_t got = ::recv(link_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    over_ = true;
    return;
  }
  reader_.feed({bytes.data(), static_cast<std::size_t>(got)});
  std::string_view line;
  while (!over_ && reader_.next(line)) take_line(line);
  if (reader_.too_long()) over_ = true;
}

void Mux::take_line(std::string_view line) {
  using Kind = agent_wire::MuxLine::Kind;
  const agent_wire::MuxLine parsed = agent_wire::split_mux_line(line);
  if (parsed.kind == Kind::kHello) {
    // The guest has booted anew: what ran in it is gone.
    drop_open_clients();
    return begin_reset();
  }
  if (!ready_) {
    if (parsed.kind == Kind::kReset && parsed.token == token_) ready_ = true;
    return;
  }
  Client* client = parsed.session > 0 ? find(parsed.session) : nullptr;
  if (client == nullptr) return;
  if (parsed.kind == Kind::kWindow) client->take_window(parsed.bytes);
  if (parsed.kind == Kind::kSession && !client->deliver(parsed.rest)) over_ = true;
}

Client* Mux::find(std::int64_t session) const {
  for (const auto& client : clients_)
    if (client->session() == session) return client.get();
  return nullptr;
}

void Mux::drop_open_clients() {
  for (const auto& client : clients_)
    if (client->is_open()) client->drop();
}

void Mux::collect() {
  for (auto at = clients_.begin(); at != clients_.end();) {
    Client& client = **at;
    if (ready_ && !client.gone()) client.open_if_asked();
    if (!client.gone()) client.write();
    if (!client.gone()) {
      client.report(out_);
      ++at;
      continue;
    }
    if (ready_ && client.session() > 0) agent_wire::append_close(out_, client.session());
    at = clients_.erase(at);
    if (clients_.empty()) idle_since_ = Clock::now();
  }
}

void Mux::write_link() {
  while (sent_ < out_.size()) {
    const ssize_t put =
        ::send(link_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put <= 0) {
      over_ = true;
      return;
    }
    sent_ += static_cast<std::size_t>(put);
  }
  out_.erase(0, sent_);
  sent_ = 0;
}

}  // namespace cocoon::mux
