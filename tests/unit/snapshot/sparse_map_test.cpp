// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/sparse_map.h"

#include <gtest/gtest.h>

namespace cocoon::snapshot {
namespace {

TEST(SparseMap, TextAndBack) {
  Segments segments{{0, 4096}, {8192, 1}};
  EXPECT_EQ(render_map(segments), R"([{"o":0,"l":4096},{"o":8192,"l":1}])");
  EXPECT_EQ(parse_map(render_map(segments)), segments);
  EXPECT_EQ(render_map({}), "null");
  EXPECT_EQ(parse_map("null"), Segments{});
  EXPECT_EQ(parse_map("[]"), Segments{});
}

TEST(SparseMap, WhatIsNoMapIsRefused) {
  for (const char* text :
       {"", "[", "{}", "1", "\"x\"", "[1]", "[null]", R"([{"o":0}])", R"([{"l":1}])",
        R"([{"o":"0","l":1}])", R"([{"o":0.5,"l":1}])", R"([{"o":18446744073709551615,"l":1}])",
        R"([{"o":0,"l":9223372036854775808}])", R"([{"o":1e3,"l":1}])"}) {
    EXPECT_EQ(parse_map(text).error().kind, ErrorKind::kCorrupt) << text;
  }
  std::string many = "[";
  for (std::size_t i = 0; i <= kMaxSegments; ++i) many += R"({"o":0,"l":0},)";
  many.back() = ']';
  EXPECT_FALSE(parse_map(many));
}

TEST(SparseMap, RulesOfSegments) {
  constexpr std::int64_t kMost = INT64_MAX;
  EXPECT_TRUE(check_segments({}, 0, 0));
  EXPECT_TRUE(check_segments({}, 100, 0));
  EXPECT_TRUE(check_segments({{0, 10}, {10, 10}, {100, 0}}, 100, 20));
  struct Case {
    Segments segments;
    std::int64_t size, stored;
  };
  for (const Case& bad :
       {Case{{{-1, 10}}, 100, 10}, Case{{{0, -10}}, 100, -10}, Case{{{0, 10}, {5, 10}}, 100, 20},
        Case{{{50, 10}, {0, 10}}, 100, 20}, Case{{{95, 10}}, 100, 10}, Case{{{101, 0}}, 100, 0},
        Case{{{kMost, kMost}}, 100, 0}, Case{{{1, kMost}}, kMost, kMost}, Case{{{0, 10}}, 100, 11},
        Case{{{0, 10}}, 100, 0}}) {
    EXPECT_FALSE(check_segments(bad.segments, bad.size, bad.stored));
  }
}

TEST(SparseMap, SmallestHolesGoFirst) {
  Segments segments{{0, 10}, {11, 10}, {1000, 10}, {1012, 10}};
  std::string all = render_map(segments);
  EXPECT_EQ(merged_to_fit(segments, all.size()), segments);
  EXPECT_EQ(merged_to_fit(segments, all.size() - 1), (Segments{{0, 21}, {1000, 10}, {1012, 10}}));
  EXPECT_EQ(merged_to_fit(segments, 50), (Segments{{0, 21}, {1000, 22}}));
}

TEST(SparseMap, AWellUsedDiskFitsIntoOneMebibyte) {
  Segments segments;
  std::int64_t at = std::int64_t{1} << 40;
  for (int i = 0; i < 200'000; ++i) {
    segments.push_back({at, 4096});
    at += 4096 + 4096 * (1 + i % 7);
  }
  Segments merged = merged_to_fit(segments, 1 << 20);
  EXPECT_LE(render_map(merged).size(), std::size_t{1} << 20);
  EXPECT_LE(merged.size(), kMaxSegments);
  EXPECT_GT(merged.size(), 25'000U);  // no more was merged than had to be
  EXPECT_EQ(merged.front().offset, segments.front().offset);
  EXPECT_EQ(merged.back().offset + merged.back().length,
            segments.back().offset + segments.back().length);
  EXPECT_TRUE(check_segments(merged, at, data_bytes(merged)));
  // Every byte of data is still in a segment.
  std::size_t m = 0;
  for (const Segment& segment : segments) {
    while (merged[m].offset + merged[m].length < segment.offset + segment.length) ++m;
    ASSERT_LE(merged[m].offset, segment.offset);
  }
}

}  // namespace
}  // namespace cocoon::snapshot
