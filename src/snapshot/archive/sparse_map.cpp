// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/sparse_map.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <nlohmann/json.hpp>

namespace cocoon::snapshot {
namespace {

using nlohmann::json;

Result<std::int64_t> number(const json& segment, const char* key) {
  auto found = segment.find(key);
  bool good = found != segment.end() && found->is_number_integer() &&
              (!found->is_number_unsigned() ||
               found->get<std::uint64_t>() <=
                   static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (!good)
    return fail(ErrorKind::kCorrupt, "the sparse map has an entry without a number {}", key);
  return found->get<std::int64_t>();
}

// The map without the holes that `swallowed` says.
Segments merged(const Segments& segments, const std::vector<bool>& swallowed) {
  Segments out;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (i > 0 && swallowed[i]) {
      out.back().length = segments[i].offset + segments[i].length - out.back().offset;
    } else {
      out.push_back(segments[i]);
    }
  }
  return out;
}

}  // namespace

std::int64_t data_bytes(const Segments& segments) {
  std::int64_t sum = 0;
  for (const Segment& segment : segments) sum += segment.length;
  return sum;
}

Result<void> check_segments(const Segments& segments, std::int64_t size, std::int64_t stored) {
  if (segments.size() > kMaxSegments) {
    return fail(ErrorKind::kCorrupt, "the sparse map has more than {} segments", kMaxSegments);
  }
  std::int64_t at = 0;
  std::int64_t sum = 0;
  for (const Segment& segment : segments) {
    bool good = segment.length >= 0 && segment.offset >= at && segment.offset <= size &&
                segment.length <= size - segment.offset;
    if (!good) {
      return fail(ErrorKind::kCorrupt, "the sparse map's segment {}+{} is out of order or place",
                  segment.offset, segment.length);
    }
    at = segment.offset + segment.length;
    sum += segment.length;  // never more than `size`
  }
  if (sum == stored) return {};
  return fail(ErrorKind::kCorrupt, "the sparse map speaks of {} bytes, but there are {}", sum,
              stored);
}

std::string render_map(const Segments& segments) {
  if (segments.empty()) return "null";
  std::string out = "[";
  for (const Segment& segment : segments) {
    if (out.size() > 1) out += ',';
    out += fmt::format("{{\"o\":{},\"l\":{}}}", segment.offset, segment.length);
  }
  return out + "]";
}

Result<Segments> parse_map(std::string_view text) {
  json map = json::parse(text, nullptr, false);
  if (map.is_null()) return Segments{};
  if (!map.is_array()) return fail(ErrorKind::kCorrupt, "the sparse map is no JSON list");
  if (map.size() > kMaxSegments) {
    return fail(ErrorKind::kCorrupt, "the sparse map has more than {} segments", kMaxSegments);
  }
  Segments out;
  for (const json& segment : map) {
    if (!segment.is_object()) return fail(ErrorKind::kCorrupt, "the sparse map is damaged");
    std::int64_t offset = COCOON_TRY(number(segment, "o"));
    std::int64_t length = COCOON_TRY(number(segment, "l"));
    out.push_back({offset, length});
  }
  return out;
}

Segments merged_to_fit(const Segments& segments, std::size_t limit) {
  auto fits = [limit](const Segments& some) {
    return some.size() <= kMaxSegments && render_map(some).size() <= limit;
  };
  if (fits(segments)) return segments;
  // Hole i lies before segment i.
  auto hole = [&segments](std::size_t i) {
    return segments[i].offset - segments[i - 1].offset - segments[i - 1].length;
  };
  std::vector<std::size_t> order(segments.size() - 1);
  std::iota(order.begin(), order.end(), std::size_t{1});
  std::stable_sort(order.begin(), order.end(),
                   [&hole](std::size_t a, std::size_t b) { return hole(a) < hole(b); });
  auto without = [&](std::size_t count) {
    std::vector<bool> swallowed(segments.size());
    for (std::size_t i = 0; i < count; ++i) swallowed[order[i]] = true;
    return merged(segments, swallowed);
  };
  std::size_t low = 0;  // too few
  std::size_t high = order.size();
  while (high - low > 1) {
    std::size_t middle = low + (high - low) / 2;
    (fits(without(middle)) ? high : low) = middle;
  }
  return without(high);
}

}  // namespace cocoon::snapshot
