// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/stream_link.h"

#include <sys/socket.h>

#include <array>

namespace cocoon::guest {
namespace {

constexpr std::size_t kInLimit = 256 * 1024;
constexpr std::size_t kOutLimit = 256 * 1024;

}  // namespace

void StreamLink::add_to(PollSet& set) {
  short events = 0;
  reads_ = session_.in_pending() < kInLimit && !session_.over();
  if (reads_) events |= POLLIN;
  // A host that goes must not be noticed only once the program takes more of its input.
  if (!session_.over()) events |= POLLRDHUP;
  if (!session_.out().empty()) events |= POLLOUT;
  polled_ = set.add(fd_.get(), events);
  session_.add_to(set, session_.out().size() < kOutLimit);
}

void StreamLink::step(const PollSet& set) {
  const short got = fd_ && !session_.over() ? set.got(polled_) : short{0};
  if (reads_ && (got & (POLLIN | POLLHUP | POLLERR)) != 0) {
    read();
  } else if ((got & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
    lose();
  }
  session_.step(set);
  if (fd_) write();
}

void StreamLink::lose() {
  fd_.reset();
  reader_.clear();
  session_.abandon();
}

void StreamLink::read() {
  std::array<char, 64 * 1024> bytes;
  const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return lose();
  reader_.feed({bytes.data(), static_cast<std::size_t>(got)});
  std::string_view line;
  while (reader_.next(line)) session_.take_line(line);
  if (reader_.too_long()) session_.fail("line too long");
}

void StreamLink::write() {
  std::string& out = session_.out();
  while (sent_ < out.size()) {
    const ssize_t put =
        ::send(fd_.get(), out.data() + sent_, out.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put <= 0) return lose();
    sent_ += static_cast<std::size_t>(put);
  }
  out.erase(0, sent_);
  sent_ = 0;
  if (!out.empty()) return;
  out.shrink_to_fit();
  if (session_.over()) fd_.reset();
}

}  // namespace cocoon::guest
