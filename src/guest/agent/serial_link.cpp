// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/serial_link.h"

#include <dirent.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>

#include "agent_wire/mux_line.h"

namespace cocoon::guest {
namespace {

constexpr std::size_t kMaxSessions = 64;
constexpr std::size_t kReadAtOnce = 1024 * 1024;  // then the sessions get their turn
constexpr const char* kPortsDir = "/sys/class/virtio-ports";

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

}  // namespace

UniqueFd open_serial_port(std::string_view name) {
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(kPortsDir));
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string device = entry->d_name;
    const auto text = read_file_at(::dirfd(dir.get()), (device + "/name").c_str(), 4096);
    if (!text || text->substr(0, text->find('\n')) != name) continue;
    return UniqueFd(::open(("/dev/" + device).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  }
  return {};
}

SerialLink::SerialLink(UniqueFd port, AgentState& agent)
    : agent_(agent), port_(std::move(port)), events_(::epoll_create1(EPOLL_CLOEXEC)) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLET;
  ::epoll_ctl(events_.get(), EPOLL_CTL_ADD, port_.get(), &event);
  agent_wire::append_hello(out_);
}

void SerialLink::add_to(PollSet& set) {
  polled_ = set.add(events_.get(), POLLIN);
  if (readable_ || (writable_ && sent_ < out_.size())) set.wake_in(std::chrono::milliseconds(0));
  for (auto& [id, entry] : sessions_) {
    const bool window = entry->outstanding + entry->session.out().size() < agent_wire::kWindowBytes;
    entry->session.add_to(set, has_room() && window);
  }
  for (auto& entry : ended_) entry->session.add_to(set, false);
}

void SerialLink::step(const PollSet& set) {
  if (set.got(polled_) != 0) {
    epoll_event event{};
    ::epoll_wait(events_.get(), &event, 1, 0);
    readable_ = writable_ = true;
  }
  // The sessions first: reading may add some that are not in the set.
  for (auto& [id, entry] : sessions_) entry->session.step(set);
  for (auto& entry : ended_) entry->session.step(set);
  if (readable_) read();
  collect();
  write();
  std::erase_if(ended_, [](const auto& entry) { return entry->session.reaped(); });
}

void SerialLink::forget_all() {
  for (auto& [id, entry] : sessions_) {
    entry->session.abandon();
    ended_.push_back(std::move(entry));
  }
  sessions_.clear();
  last_id_ = 0;
  out_.clear();
  sent_ = 0;
}

void SerialLink::read() {
  std::array<char, 64 * 1024> bytes;
  for (std::size_t total = 0; total < kReadAtOnce;) {
    const ssize_t got = ::read(port_.get(), bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got > 0) {
      lost_ = false;
      total += static_cast<std::size_t>(got);
      reader_.feed({bytes.data(), static_cast<std::size_t>(got)});
      std::string_view line;
      while (reader_.next(line)) take_line(line);
      if (reader_.too_long()) reader_ = agent_wire::LineReader();  // the host's fault, and loss
      continue;
    }
    readable_ = false;
    if (got < 0 && errno == EAGAIN) return;
    lost_ = true;
    reader_.clear();
    forget_all();
    agent_wire::append_hello(out_);  // for whoever comes next
    return;
  }
}

void SerialLink::take_line(std::string_view line) {
  using Kind = agent_wire::MuxLine::Kind;
  const agent_wire::MuxLine parsed = agent_wire::split_mux_line(line);
  switch (parsed.kind) {
    case Kind::kSession:
      return take_session_line(parsed.session, parsed.rest, line.size() + 1);
    case Kind::kReset:
      forget_all();
      out_ += '\n';  // ends what may have been sent of a line
      return agent_wire::append_reset(out_, parsed.token);
    case Kind::kWindow:
      if (const auto found = sessions_.find(parsed.session); found != sessions_.end())
        found->second->outstanding -=
            std::min(found->second->outstanding, static_cast<std::size_t>(parsed.bytes));
      return;
    case Kind::kClose:
      if (const auto found = sessions_.find(parsed.session); found != sessions_.end()) {
        found->second->session.abandon();
        ended_.push_back(std::move(found->second));
        sessions_.erase(found);
      }
      return;
    case Kind::kHello:
    case Kind::kBad:
      return;
  }
}

void SerialLink::take_session_line(std::int64_t id, std::string_view rest, std::size_t size) {
  auto found = sessions_.find(id);
  if (found == sessions_.end()) {
    if (id <= last_id_) return;  // in flight when it ended
    last_id_ = id;
    found = sessions_.emplace(id, std::make_unique<Entry>(agent_)).first;
    if (sessions_.size() > kMaxSessions) found->second->session.fail("too many sessions");
  }
  found->second->taken += size;
  line_ = '{';
  line_ += rest;
  found->second->session.take_line(line_);
}

void SerialLink::collect() {
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    collect_from(at->first, *at->second);
    Session& session = at->second->session;
    if (session.over() && session.out().empty()) {
      ended_.push_back(std::move(at->second));
      at = sessions_.erase(at);
    } else {
      ++at;
    }
  }
}

void SerialLink::collect_from(std::int64_t id, Entry& entry) {
  std::string& lines = entry.session.out();
  std::size_t begin = 0;
  while (begin < lines.size() && entry.outstanding < agent_wire::kWindowBytes && has_room()) {
    const std::size_t end = lines.find('\n', begin);
    const std::size_t before = out_.size();
    agent_wire::append_mux_line(out_, id, std::string_view(lines).substr(begin, end - begin));
    entry.outstanding += out_.size() - before;
    begin = end + 1;
  }
  lines.erase(0, begin);
  if (lines.empty()) lines.shrink_to_fit();
  if (entry.taken >= agent_wire::kWindowStep &&
      entry.session.in_pending() < agent_wire::kWindowBytes / 2) {
    agent_wire::append_window(out_, id, entry.taken);
    entry.taken = 0;
  }
}

void SerialLink::write() {
  while (writable_ && sent_ < out_.size()) {
    const ssize_t put = ::write(port_.get(), out_.data() + sent_, out_.size() - sent_);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      writable_ = false;
      break;
    }
    sent_ += static_cast<std::size_t>(put);
  }
  if (sent_ == out_.size()) {
    out_ = std::string();
    sent_ = 0;
  } else if (sent_ > kOutLimit) {  // not each time: what is left would be moved
    out_.erase(0, sent_);
    sent_ = 0;
  }
}

bool SerialLink::flushed() const { return out_.empty() && sessions_.empty(); }

void SerialLink::fail_all(const std::string& message) {
  for (auto& [id, entry] : sessions_) entry->session.fail(message);
}

bool SerialLink::has_attached() const {
  return std::any_of(sessions_.begin(), sessions_.end(),
                     [](const auto& item) { return item.second->session.is_attached(); });
}

void SerialLink::terminate_attached() {
  for (auto& [id, entry] : sessions_)
    if (entry->session.is_attached()) entry->session.terminate();
}

}  // namespace cocoon::guest
