// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "shim/console_log.h"
#include "shim/fd.h"
#include "shim/marker.h"
#include "shim/ring.h"

namespace cocoon::shim {

// The master side of the guest's console. Output goes to the log, the scroll-back and the line
// scanner as it comes; input waits in a small buffer until the guest takes it.
//
// The VMM holds the same open file and may clear O_NONBLOCK on it, so each burst of I/O is guarded
// by an interval timer whose SIGALRM breaks a call that blocks (main installs the empty handler).
// Such a VMM delays its own console and nothing else.
class Console {
 public:
  // Most that one pump reads, so that clients are served in between: well below Ring::kCapacity.
  static constexpr std::size_t kBurst = 16 * 1024;
  static constexpr std::size_t kInputCapacity = 16 * 1024;

  enum class Pumped {
    kIdle,    // nothing more to read now
    kMore,    // stopped at kBurst
    kHungUp,  // nobody has the slave open
  };

  // Borrows marker and log.
  Console(Marker& marker, ConsoleLog& log) : marker_(marker), log_(log) {}

  void set_master(UniqueFd master) { master_ = std::move(master); }
  [[nodiscard]] int master() const { return master_.get(); }
  [[nodiscard]] const Ring& ring() const { return ring_; }

  // Reads what the guest has written.
  Pumped pump();

  // Takes what an earlier shim logged into scroll-back and scanner, for an adoption.
  void recall();

  // Room for input; add_input takes at most that much.
  [[nodiscard]] std::size_t input_room() const { return input_.size() - input_end_; }
  [[nodiscard]] bool has_input() const { return input_begin_ < input_end_; }
  void add_input(std::string_view bytes);

  // Gives waiting input to the guest as far as it takes it.
  void push_input();

  void resize(unsigned short rows, unsigned short columns);

 private:
  void take_output(std::string_view bytes);

  Marker& marker_;
  ConsoleLog& log_;
  UniqueFd master_;
  Ring ring_;
  std::array<char, kInputCapacity> input_;  // not cleared, see Ring
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
};

}  // namespace cocoon::shim
