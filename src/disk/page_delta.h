// SPDX-License-Identifier: Apache-2.0
// What differs between two versions of a file, page by page: guest memory of an incremental
// snapshot. A delta is one file that describes itself:
//
//   [0, bytes)    at its own offset each page that is not that of the old version; all else is a
//                 hole, and so are pages that are all zero
//   [bytes, end)  a bitmap, one bit a page, lowest bit first: set where the page is of this delta
//
// Deltas stack: the old version may be a file with deltas on it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"

namespace cocoon::disk {

inline constexpr std::int64_t kDeltaPage = 4096;

// The size of the delta of a file of that many bytes, which are whole pages.
std::int64_t delta_size(std::int64_t bytes);

// An old version: a file, and the deltas that lead from it to what is meant, oldest first. All
// borrowed, open for reading.
struct PageStack {
  int base = -1;
  std::vector<int> deltas;
};

// Writes into the empty file `to` what `from` has and `old` has not. All of them are of `bytes`
// bytes; pages behind the end of a shorter base are zero. Not synced. kSystem; kInterrupted;
// kCorrupt: a delta is cut off.
Result<void> write_delta(const PageStack& old, int from, std::int64_t bytes, int to);

// Changes `to`, which holds the version before the delta and is open for writing, into
// the one after it. Pages that become zero become holes. Errors as write_delta.
Result<void> apply_delta(int delta, std::int64_t bytes, int to);

}  // namespace cocoon::disk
