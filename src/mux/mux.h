// SPDX-License-Identifier: Apache-2.0
//
// The loop between commands and the guest's agent. The guest's bytes are hostile: only their prefix
// is read here (agent_wire/mux_line.h), lines and queues are bounded.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "mux/client.h"

namespace cocoon::mux {

struct MuxOptions {
  /// How long it stays without a command.
  std::chrono::milliseconds linger{15'000};
};

class Mux {
 public:
  /// `listener`: where commands connect. `link`: the virtio-serial port's socket. Both
  /// non-blocking.
  Mux(UniqueFd listener, UniqueFd link, MuxOptions options);

  /// Until the VMM is gone, the guest breaks the rules, or nobody needs it any more.
  void run();

 private:
  using Clock = std::chrono::steady_clock;

  void poll_once();
  void accept_clients();
  void read_link();
  void write_link();
  void take_line(std::string_view line);
  void begin_reset();
  Client* find(std::int64_t session) const;
  void drop_open_clients();
  void collect();
  bool link_has_room() const { return out_.size() - sent_ < kLinkLimit; }
  int timeout() const;

  static constexpr std::size_t kLinkLimit = 256 * 1024;
  // The limit, one longest line beyond it, and what the guest's own lines call for: more waits only
  // for a guest that asks and takes nothing.
  static constexpr std::size_t kLinkMost = 2 * agent_wire::kMaxLine;

  UniqueFd listener_;
  UniqueFd link_;
  MuxOptions options_;
  agent_wire::LineReader reader_;
  std::string out_;
  std::size_t sent_ = 0;
  std::string token_;   // of the reset that is waited for
  bool ready_ = false;  // the agent has answered it
  bool over_ = false;
  std::int64_t last_session_ = 0;
  std::vector<std::unique_ptr<Client>> clients_;
  Clock::time_point idle_since_ = Clock::now();
};

}  // namespace cocoon::mux
