// SPDX-License-Identifier: Apache-2.0
// The host's end of one session. The guest is hostile: lines and waits are bounded, nothing that it
// sends is taken for more than bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent_wire/frame.h"
#include "agent_wire/line_reader.h"
#include "base/clock.h"
#include "base/error.h"
#include "sys/fd.h"

namespace cocoon::agent {

class [[nodiscard]] Session {
 public:
  // Takes a connected, non-blocking stream.
  explicit Session(sys::UniqueFd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }

  // Queues; flush() sends.
  void send(const agent_wire::Frame& frame) { out_ += agent_wire::render_frame(frame); }
  void send_line(std::string_view line) { out_ += line; }
  void send_stdin(std::string_view bytes);
  void close_stdin();
  std::size_t pending() const { return out_.size() - sent_; }
  // Sends what the guest takes now.
  Result<void> flush();

  // Reads once what has arrived. kVmm when the connection is gone.
  Result<void> fill();
  // The next frame that has arrived whole; nullopt: none. kCorrupt for what is no frame.
  Result<std::optional<agent_wire::Frame>> next();

  // Sends all that is queued and waits for the next frame of a type that ends a session ("exit",
  // "error", "done"), dropping others. kTimeout, kInterrupted, kCorrupt, kVmm.
  Result<agent_wire::Frame> wait_last(Deadline deadline);

 private:
  sys::UniqueFd socket_;
  agent_wire::LineReader reader_;
  std::string out_;
  std::size_t sent_ = 0;
};

}  // namespace cocoon::agent
