// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/id.h"

namespace cocoon {
namespace {

TEST(Text, EscapesWhatCouldDriveATerminal) {
  EXPECT_EQ(escape_controls("a\x1b[31mb\nc\x7f"), "a\\x1b[31mb\\nc\\x7f");
  EXPECT_EQ(escape_controls("grün"), "grün");
  EXPECT_EQ(escape_controls("a\xc2\x9d"
                            "0;x\xc2\xa0\xc2"),
            "a\\xc2\\x9d0;x\xc2\xa0\xc2");
}

TEST(Text, Trims) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
}

TEST(Text, SplitsKeepingEmptyParts) {
  EXPECT_EQ(split("a,,b,", ','), (std::vector<std::string_view>{"a", "", "b", ""}));
  EXPECT_EQ(split("", ','), (std::vector<std::string_view>{""}));
}

TEST(Text, ParsesIntegersInEveryBase) {
  EXPECT_EQ(parse_integer("42"), 42);
  EXPECT_EQ(parse_integer("-0x10"), -16);
  EXPECT_EQ(parse_integer("0o17"), 15);
  EXPECT_EQ(parse_integer("0b11"), 3);
  EXPECT_EQ(parse_integer("9223372036854775807"), 9223372036854775807);
  for (const char* bad : {"", "0x", "1 ", "1a", "--1", "9223372036854775808", "+"}) {
    EXPECT_EQ(parse_integer(bad), std::nullopt) << bad;
  }
}

TEST(Text, ParsesDecimalsWithoutSign) {
  EXPECT_EQ(parse_decimal("18446744073709551615"), 18446744073709551615ULL);
  for (const char* bad : {"", "-1", "+1", " 1", "18446744073709551616"}) {
    EXPECT_EQ(parse_decimal(bad), std::nullopt) << bad;
  }
}

TEST(Text, TakesTheLastLines) {
  EXPECT_EQ(last_lines("a\nb\nc\n", 2), "b\nc");
  EXPECT_EQ(last_lines("a\nb\nc", 5), "a\nb\nc");
  EXPECT_EQ(last_lines("\n\n", 1), "");
  EXPECT_EQ(last_lines("only", 1), "only");
}

TEST(Text, KnowsSha256Hex) {
  EXPECT_TRUE(is_sha256_hex(std::string(64, 'a')));
  EXPECT_FALSE(is_sha256_hex(std::string(64, 'A')));
  EXPECT_FALSE(is_sha256_hex(std::string(63, '0')));
}

TEST(Id, IsRandomAndWellFormed) {
  auto first = generate_id();
  auto second = generate_id();
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(is_id(*first));
  EXPECT_NE(*first, *second);
  EXPECT_FALSE(is_id("K3QZ7WJ5M2XA4TBN6RCVYDHEP1"));  // 1 is not in the alphabet
  EXPECT_FALSE(is_id("K3QZ"));
}

TEST(Clock, WritesUtcThatSortsAsText) {
  std::string first = utc_now();
  std::string second = utc_now();
  EXPECT_LE(first, second);
  EXPECT_EQ(first.size(), std::string("2026-03-02T10:15:04.120391000Z").size());
  EXPECT_EQ(first.back(), 'Z');
  EXPECT_EQ(local_time("not a time"), "not a time");
}

}  // namespace
}  // namespace cocoon
