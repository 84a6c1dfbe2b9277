// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "shim/client.h"
#include "shim/console.h"
#include "shim/process.h"

namespace cocoon::shim {

// The connections of shim.sock and console.sock: many readers, at most one writer.
//
// shim.sock, SOCK_SEQPACKET, root only (the shim's own uid). The first packet is a request:
//   status                     -> `vmm <pid> <start_time> writer <pid|-> readers <n>`, then closed;
//                                 readers are console clients without the right to write
//   console read|write|steal   -> `ok write`, or `ok read <writer's pid|->`; then
//     to the client:   o<bytes> output, scroll-back first; d<n> n bytes were dropped because the
//                      client was slow; l its right to write was taken; e<reason> the VMM ended
//     from the client: i<bytes> input, w<rows> <cols> window size; both count from the writer only
// No packet is longer than Client::kMaxPacket. A client that sends anything else is dropped.
//
// console.sock, SOCK_STREAM: raw scroll-back and output. Its input makes it the writer when there
// is none, else it is discarded.
class Clients {
 public:
  static constexpr std::size_t kMaxClients = 16;
  using PollSet = std::array<pollfd, kMaxClients>;

  explicit Clients(Console& console) : console_(console) {}

  void set_vmm(const ProcessRef& vmm) { vmm_ = vmm; }

  // Takes one waiting connection. When all places are taken, one that has not made a request gives
  // way; else the new one is closed. False when the kernel gives no descriptor: the connection goes
  // on waiting, so the caller must let some time pass.
  bool accept_from(int listener, ClientKind kind);

  // What to wait for, by place; the descriptor is -1 for a place with nothing to wait for.
  void fill(std::span<pollfd, kMaxClients> entries) const;

  // Acts on what poll() found in entries that fill() filled.
  void handle(std::span<const pollfd, kMaxClients> entries);

  // Sends waiting output to all.
  void flush();

  // True while some client has not been sent everything.
  [[nodiscard]] bool any_lags() const;

  // Tells all console clients that the VMM ended, and closes every connection.
  void end(std::string_view reason);

 private:
  static constexpr int kNobody = -1;

  void drop(std::size_t place);
  std::size_t free_place() const;
  void receive(std::size_t place);
  void receive_packet(std::size_t place);
  void receive_stream(std::size_t place);
  // These answer false when the client must be dropped.
  bool greet(std::size_t place, std::string_view packet);
  bool take_packet(std::size_t place, std::string_view packet);
  bool attach(std::size_t place, bool wants_write, bool steal);
  void send_status(std::size_t place);

  [[nodiscard]] bool is_writer(std::size_t place) const {
    return writer_ == static_cast<int>(place);
  }

  Console& console_;
  ProcessRef vmm_;
  std::array<Client, kMaxClients> clients_;
  int writer_ = kNobody;  // a place
};

}  // namespace cocoon::shim
