// SPDX-License-Identifier: Apache-2.0
//
// Many sessions over one virtio-serial port (agent_wire/mux_line.h). The port outlives the host's
// end: while nobody has that open, it waits without a poll loop spinning.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "agent_wire/line_reader.h"
#include "guest/agent/session.h"

namespace cocoon::guest {

/// The device of the port of that name below /sys/class/virtio-ports, opened; none if there is
/// none.
UniqueFd open_serial_port(std::string_view name);

class SerialLink {
 public:
  SerialLink(UniqueFd port, AgentState& agent);

  void add_to(PollSet& set);
  void step(const PollSet& set);

  /// The other end was closed. On a port, it may come back.
  bool lost() const { return lost_; }
  /// Everything that sessions had to say is with the device.
  bool flushed() const;
  void fail_all(const std::string& message);
  bool has_attached() const;
  void terminate_attached();

 private:
  struct Entry {
    explicit Entry(AgentState& agent) : session(agent) {}
    Session session;
    std::size_t outstanding = 0;  // of our lines: not yet taken by the host
    std::size_t taken = 0;        // of the host's lines: not yet reported
  };

  void read();
  void write();
  void take_line(std::string_view line);
  void take_session_line(std::int64_t id, std::string_view rest, std::size_t size);
  void collect();
  void collect_from(std::int64_t id, Entry& entry);
  void forget_all();
  bool has_room() const { return out_.size() - sent_ < kOutLimit; }

  static constexpr std::size_t kOutLimit = 256 * 1024;

  AgentState& agent_;
  UniqueFd port_;
  UniqueFd events_;  // epoll, edge-triggered: a port without a host hangs up without end
  agent_wire::LineReader reader_;
  std::map<std::int64_t, std::unique_ptr<Entry>> sessions_;
  std::vector<std::unique_ptr<Entry>> ended_;  // until their children are reaped
  std::int64_t last_id_ = 0;
  std::string line_;
  std::string out_;
  std::size_t sent_ = 0;
  std::size_t polled_ = 0;
  bool readable_ = true;
  bool writable_ = true;
  bool lost_ = false;
};

}  // namespace cocoon::guest
