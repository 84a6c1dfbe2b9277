// SPDX-License-Identifier: Apache-2.0
// `vm console`: a client of the shim's console (src/shim/clients.h has the protocol): several
// readers at once, one writer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/ports.h"
#include "model/vm.h"
#include "sys/fd.h"
#include "sys/tty.h"

namespace cocoon::engine {

enum class ConsoleAccess {
  kRead,   // output only
  kWrite,  // refused when somebody else writes
  kSteal,  // takes the right to write from whoever has it
};

// What the shim had to say.
struct ConsoleEvent {
  enum class Kind {
    kOutput,     // text: bytes of the guest; what was printed before comes first
    kDropped,    // count: bytes that were lost because we were slow
    kWriteLost,  // somebody took the right to write
    kEnded,      // text: why the VM ended; the connection is over
    kClosed,     // the connection is over without a word
  };
  Kind kind = Kind::kClosed;
  std::string text;
  std::uint64_t count = 0;
};

class [[nodiscard]] ConsoleClient {
 public:
  // Attaches to a VM as inspect_vm returned it (which has replaced a dead shim). kWrongState when
  // it is not running, kBusy when write access was asked for and somebody else has it: the message
  // names the process.
  static Result<ConsoleClient> attach(const Ports& ports, const model::Vm& vm,
                                      ConsoleAccess access);

  // For poll(): readable when receive() has something, writable when flush() can go on.
  int fd() const { return socket_.get(); }

  // The next event; nullopt when there is none now.
  Result<std::optional<ConsoleEvent>> receive();

  // Takes input for the guest. When the guest does not read, at most 64 KiB wait; the rest is
  // dropped, so that the user's keys (and so the escape sequence) are always read.
  void send(std::string_view input);
  void resize(sys::WindowSize size);
  // Sends what waits, as far as it goes. kSystem when the connection is broken.
  Result<void> flush();
  bool has_pending() const { return !input_.empty() || size_.has_value(); }

 private:
  explicit ConsoleClient(sys::UniqueFd socket) : socket_(std::move(socket)) {}
  // True: sent; false: not now.
  Result<bool> send_packet(std::string_view packet);

  sys::UniqueFd socket_;
  std::string input_;
  std::optional<sys::WindowSize> size_;
};

}  // namespace cocoon::engine
