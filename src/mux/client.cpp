// SPDX-License-Identifier: Apache-2.0
#include "mux/client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace cocoon::mux {
namespace {

constexpr std::string_view kConnect = "CONNECT 1024";
// A guest that keeps to its window never comes near.
constexpr std::size_t kMaxWaiting = 2 * agent_wire::kWindowBytes + agent_wire::kMaxLine;

}  // namespace

short Client::events(bool link_ready, bool link_has_room) const {
  short events = 0;
  const bool may_send = link_ready && link_has_room && outstanding_ < agent_wire::kWindowBytes;
  if (stage_ == Stage::kHandshake || (stage_ == Stage::kOpen && may_send)) events |= POLLIN;
  // A command that gives up while it waits is seen by its half of the connection closing.
  if (stage_ == Stage::kAsked) events |= POLLRDHUP;
  if (sent_ < out_.size()) events |= POLLOUT;
  return events;
}

void Client::read(std::string& link) {
  std::array<char, 64 * 1024> bytes;
  const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return drop();
  reader_.feed({bytes.data(), static_cast<std::size_t>(got)});
  std::string_view line;
  while (!gone_ && reader_.next(line)) take_line(line, link);
  if (reader_.too_long()) drop();
}

void Client::take_line(std::string_view line, std::string& link) {
  if (stage_ == Stage::kHandshake) {
    if (line != kConnect) return drop();
    stage_ = Stage::kAsked;
  } else if (stage_ == Stage::kOpen && line.starts_with('{') && line.size() > 2) {
    if (session_ == 0) session_ = ++last_session_;
    const std::size_t before = link.size();
    agent_wire::append_mux_line(link, session_, line);
    outstanding_ += link.size() - before;
  } else {
    drop();
  }
}

void Client::open_if_asked() {
  if (stage_ != Stage::kAsked) return;
  stage_ = Stage::kOpen;
  out_ += "OK 1024\n";
}

bool Client::deliver(std::string_view rest) {
  if (!is_open()) return true;
  if (out_.size() - sent_ > kMaxWaiting) return false;
  out_ += '{';
  out_ += rest;
  out_ += '\n';
  // As the guest counts: with the prefix that the link's lines have.
  taken_ +=
      rest.size() + 2 + std::string_view(R"("session":,)").size() + std::to_string(session_).size();
  return true;
}

void Client::write() {
  while (sent_ < out_.size()) {
    const ssize_t put =
        ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put <= 0) return drop();
    sent_ += static_cast<std::size_t>(put);
  }
  if (sent_ == out_.size()) out_.clear(), sent_ = 0;
  if (sent_ > agent_wire::kWindowBytes / 2) out_.erase(0, sent_), sent_ = 0;
}

void Client::take_window(std::int64_t bytes) {
  outstanding_ -= std::min(outstanding_, static_cast<std::size_t>(bytes));
}

void Client::report(std::string& link) {
  if (taken_ < agent_wire::kWindowStep || out_.size() - sent_ >= agent_wire::kWindowBytes / 2)
    return;
  agent_wire::append_window(link, session_, taken_);
  taken_ = 0;
}

}  // namespace cocoon::mux
