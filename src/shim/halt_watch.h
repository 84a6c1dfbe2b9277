// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace cocoon::shim {

// Tells a guest that stands still for ever from one that merely says so. A VMM that ends only at a
// guest reboot keeps the process of a guest that has powered off; the console's last line is a
// hint, but any program of the guest can print it. A halted machine has its interrupts off, so no
// thread of its VMM is ever scheduled again, while an idle Linux wakes up at least every four
// seconds (its soft-lockup watchdog).
class HaltWatch {
 public:
  static constexpr long long kStillness = 5000;  // milliseconds

  // Called now and then while the console says so, with how often the VMM's threads have been
  // scheduled (nullopt: unknown). True: they have not been for kStillness.
  bool is_over(long long now, std::optional<std::uint64_t> switches);

  // The console says something else now.
  void reset() { last_ = std::nullopt; }

 private:
  std::optional<std::uint64_t> last_;
  long long since_ = 0;
};

// Context switches of all threads of a process so far, but for the kernel's io_uring workers, the
// last of which looks for work every five seconds for ever; nullopt when they cannot be read.
std::optional<std::uint64_t> count_context_switches(pid_t pid);

// The sum of the two counters in /proc/<pid>/task/<tid>/status (proc(5)); 0 for an io_uring worker.
// Pure.
std::optional<std::uint64_t> parse_context_switches(std::string_view status);

}  // namespace cocoon::shim
