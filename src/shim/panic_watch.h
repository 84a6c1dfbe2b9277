// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>

namespace cocoon::shim {

// Tells a guest that will never come up from one that crashes now and then. Where a guest reboots
// in place, a kernel that panics before it has started anything (`panic=-1`, and nothing is loaded
// yet that would tell its VMM) comes back only to panic again, for ever. The console shows it, and
// it alone: one panic after the other, with nothing but the kernel's own lines in between.
//
// The limit leaves room for emulated guests of a busy host, whose clocks may fail the kernel's
// checks now and then. A program in the guest that shows the log of such a boot prints the same
// lines, but at once: a panic counts only when a kernel could have started since the one before.
class PanicWatch {
 public:
  static constexpr unsigned kLimit = 5;
  static constexpr long long kFastestBoot = 100;  // milliseconds

  // Called after the console has been read, with Marker::panics(). True: that is enough. What the
  // first call finds is of the past: an adopter reads what an earlier shim logged.
  bool is_over(long long now, unsigned panics) {
    if (panics < seen_) count_ = 0;
    const bool one_more = panics > seen_ && (count_ == 0 || now - last_ >= kFastestBoot);
    seen_ = panics;
    if (!one_more) return false;
    last_ = now;
    return ++count_ >= kLimit;
  }

 private:
  unsigned seen_ = std::numeric_limits<unsigned>::max();
  unsigned count_ = 0;
  long long last_ = 0;
};

}  // namespace cocoon::shim
