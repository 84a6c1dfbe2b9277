// SPDX-License-Identifier: Apache-2.0
// Which parts of a sparse file are data, and how an archive says so: the PAX records
// COCOON.sparse.map and COCOON.sparse.size (spec 04 §11.3). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cocoon::snapshot {

// Bytes [offset, offset + length) of a file hold data; everything outside all segments is zero.
struct Segment {
  std::int64_t offset = 0;
  std::int64_t length = 0;
  bool operator==(const Segment&) const = default;
};
using Segments = std::vector<Segment>;

// What an archive may have at most (spec 04 §11.9).
inline constexpr std::size_t kMaxSegments = 65536;

// Bytes of data.
std::int64_t data_bytes(const Segments& segments);

// Ascending, apart, within `size`, at most kMaxSegments, and together `stored` bytes. kCorrupt.
Result<void> check_segments(const Segments& segments, std::int64_t size, std::int64_t stored);

// The value of COCOON.sparse.map: compact JSON; "null" for a file without data.
std::string render_map(const Segments& segments);

// And back; not checked any further. kCorrupt.
Result<Segments> parse_map(std::string_view text);

// The same data as fewer segments, so that render_map() has at most `limit` bytes (at least 64):
// the smallest holes become data first.
Segments merged_to_fit(const Segments& segments, std::size_t limit);

}  // namespace cocoon::snapshot
