// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "shim/fd.h"
#include "shim/ring.h"

namespace cocoon::shim {

enum class ClientKind {
  kPacket,  // of shim.sock
  kStream,  // of console.sock
};

// One connection's sending side: where it is in the scroll-back, and what it must be told. Nothing
// is queued here: what the kernel's socket buffer does not take waits in the ring, and is counted
// as dropped when the ring overwrites it.
class Client {
 public:
  // No packet of either side is longer than this.
  static constexpr std::size_t kMaxPacket = 16 * 1024;

  enum class Phase {
    kFree,      // no connection
    kGreeting,  // packet client that has not said what it wants
    kConsole,   // gets output
  };

  void open(UniqueFd socket, pid_t pid, ClientKind kind);
  void close();

  // Starts output with the oldest byte of the scroll-back.
  void start_console(const Ring& ring);

  // Sends one packet at once; false when the client must be dropped.
  bool reply(std::string_view packet);

  // Sends as much as the socket takes. When the peer no longer receives, output ends, but what it
  // sent before it left is still to be read.
  void flush(const Ring& ring);

  // True when flush() has more to send.
  [[nodiscard]] bool lags(const Ring& ring) const;

  // Tells the client that its right to write is gone (stream clients have no way to hear it).
  void tell_write_lost() { write_lost_ = kind_ == ClientKind::kPacket; }

  // The peer has ended its sending side but may still read.
  void end_input() { input_ended_ = true; }
  [[nodiscard]] bool input_ended() const { return input_ended_; }

  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] ClientKind kind() const { return kind_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int fd() const { return socket_.get(); }

 private:
  enum class Sent { kAll, kFull, kBroken };

  Sent send_packet(std::string_view tag, std::string_view body);
  Sent send_notices(const Ring& ring);
  Sent send_output(const Ring& ring);

  UniqueFd socket_;
  pid_t pid_ = -1;
  ClientKind kind_ = ClientKind::kPacket;
  Phase phase_ = Phase::kFree;
  bool write_lost_ = false;
  bool input_ended_ = false;
  bool output_ended_ = false;
  std::uint64_t position_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace cocoon::shim
