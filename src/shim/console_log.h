// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shim/fd.h"
#include "shim/outcome.h"

namespace cocoon::shim {

// console.log and its predecessors console.log.1 (newest) … in the VM's log directory, root 0600.
// Never more than `files` of them nor more than `max_bytes` in each, whatever the guest prints, and
// never in the console's way: when nothing can be written (no space, directory gone), bytes are
// counted and dropped, and the next append tries again and says how many are missing.
class ConsoleLog {
 public:
  struct Limits {
    std::uint64_t max_bytes = 0;  // of each file
    unsigned files = 1;           // the current one included
  };

  // Appends to an existing console.log. `directory` must outlive this object. On failure the object
  // works all the same, by trying again.
  Outcome open(int directory, Limits limits);

  void append(std::string_view bytes);

  // Reads up to buffer_size bytes of what was logged last, in order, and hands them to
  // `take(context, bytes)`.
  void replay_tail(std::uint64_t tail, void (*take)(void*, std::string_view), void* context) const;

  // Bytes dropped and not yet mentioned in the log.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  Outcome open_current(int extra_flags);
  void rotate();
  bool write_some(std::string_view& bytes);
  void mention_dropped();

  int directory_ = -1;
  Limits limits_;
  UniqueFd file_;
  std::uint64_t size_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace cocoon::shim
