// SPDX-License-Identifier: Apache-2.0
// One end of a stream as a test plays it.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "agent_wire/frame.h"
#include "agent_wire/line_reader.h"
#include "sys/fd.h"

namespace cocoon::agent::test {

// Two connected stream sockets, both non-blocking.
std::pair<sys::UniqueFd, sys::UniqueFd> socket_pair();

class Peer {
 public:
  explicit Peer(sys::UniqueFd fd) : fd_(std::move(fd)) {}

  // Sends all, for at most a few seconds; false when the other side does not take it.
  bool send(std::string_view bytes);
  // The next line; "" at the end of the stream or after `limit`.
  std::string line(std::chrono::milliseconds limit = std::chrono::seconds(20));
  // The next frame; type "" at the end of the stream.
  agent_wire::Frame frame();
  // True when the other side closes within the limit.
  bool sees_end(std::chrono::milliseconds limit = std::chrono::seconds(20));
  void close() { fd_.reset(); }
  int fd() const { return fd_.get(); }

 private:
  bool fill(std::chrono::milliseconds limit);
  sys::UniqueFd fd_;
  agent_wire::LineReader reader_;
};

}  // namespace cocoon::agent::test
