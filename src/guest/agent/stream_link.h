// SPDX-License-Identifier: Apache-2.0
//
// One session over one connection (vsock).
#pragma once

#include "agent_wire/line_reader.h"
#include "guest/agent/session.h"

namespace cocoon::guest {

class StreamLink {
 public:
  /// `fd` is non-blocking.
  StreamLink(UniqueFd fd, AgentState& agent) : fd_(std::move(fd)), session_(agent) {}

  void add_to(PollSet& set);
  void step(const PollSet& set);

  /// Nothing is left to be done: the last frame is sent, or the host is gone; the child is reaped.
  bool done() const { return !fd_ && session_.reaped(); }
  bool connected() const { return static_cast<bool>(fd_); }
  Session& session() { return session_; }

 private:
  void read();
  void write();
  void lose();

  UniqueFd fd_;
  agent_wire::LineReader reader_;
  Session session_;
  std::size_t sent_ = 0;  // of the session's out()
  std::size_t polled_ = 0;
  bool reads_ = false;  // not while the program has input enough
};

}  // namespace cocoon::guest
