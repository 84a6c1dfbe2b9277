// SPDX-License-Identifier: Apache-2.0
//
// One command's connection. It speaks as the VMMs' hybrid vsock sockets do: the command sends
// "CONNECT 1024\n", gets "OK <number>\n" once the guest's agent is there, and then the connection
// is a session of its own.
#pragma once

#include <cstdint>
#include <string>

#include "agent_wire/line_reader.h"
#include "agent_wire/mux_line.h"
#include "mux/fd.h"

namespace cocoon::mux {

class Client {
 public:
  /// `last_session` is the number of the youngest session of the link.
  Client(UniqueFd fd, std::int64_t& last_session)
      : fd_(std::move(fd)), last_session_(last_session) {}

  int fd() const { return fd_.get(); }
  /// The number on the link; 0 before the first frame, so that numbers rise with the frames.
  std::int64_t session() const { return session_; }
  bool gone() const { return gone_; }
  bool is_open() const { return stage_ == Stage::kOpen; }

  /// What to poll for. `link_has_room`: more may be sent to the guest.
  short events(bool link_ready, bool link_has_room) const;

  /// Reads from the command and appends its lines to `link`. Nothing is read beyond the window.
  void read(std::string& link);
  void write();

  /// The agent is there: the command may begin.
  void open_if_asked();

  /// A line of the guest for this session. False: the guest sends more than it may.
  bool deliver(std::string_view rest);
  void take_window(std::int64_t bytes);
  /// Appends a report of what the command has taken.
  void report(std::string& link);

  /// The session is lost: the command sees the end of its connection.
  void drop() { gone_ = true; }

 private:
  enum class Stage { kHandshake, kAsked, kOpen };
  void take_line(std::string_view line, std::string& link);

  UniqueFd fd_;
  std::int64_t& last_session_;
  std::int64_t session_ = 0;
  Stage stage_ = Stage::kHandshake;
  bool gone_ = false;
  agent_wire::LineReader reader_;
  std::string out_;
  std::size_t sent_ = 0;
  std::size_t outstanding_ = 0;  // of our lines, not yet taken by the guest
  std::size_t taken_ = 0;        // of the guest's lines, not yet reported
};

}  // namespace cocoon::mux
