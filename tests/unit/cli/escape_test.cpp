// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/escape.h"

#include <gtest/gtest.h>

namespace cocoon::cli {
namespace {

TEST(EscapeChar, IsParsedAsTheOriginalDoes) {
  EXPECT_EQ(*parse_escape_char("^]"), 0x1d);
  EXPECT_EQ(*parse_escape_char("^A"), 1);
  EXPECT_EQ(*parse_escape_char("^a"), 1);
  EXPECT_EQ(*parse_escape_char("^_"), 0x1f);
  EXPECT_EQ(*parse_escape_char("~"), '~');
  EXPECT_EQ(*parse_escape_char(std::string(1, '\x1d')), 0x1d);
}

TEST(EscapeChar, RefusesTheRest) {
  for (std::string text :
       {"", "ab", "^", "^1", "^^^", "^@", "^M", "^J", "\r", "\n", "\x7f", "\x80", "\xc3\xa4"}) {
    auto parsed = parse_escape_char(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
  }
  EXPECT_FALSE(parse_escape_char(std::string(1, '\0')));
}

TEST(EscapeChar, IsShownAsTyped) {
  EXPECT_EQ(show_escape_char(0x1d), "^]");
  EXPECT_EQ(show_escape_char(1), "^A");
  EXPECT_EQ(show_escape_char('~'), "~");
}

TEST(EscapeScanner, PassesOrdinaryBytesAndCtrlC) {
  EscapeScanner scanner(0x1d);
  auto out = scanner.scan("ls\x03\r");
  EXPECT_EQ(out.forward, "ls\x03\r");
  EXPECT_FALSE(out.detach);
}

TEST(EscapeScanner, DetachesAcrossReads) {
  EscapeScanner scanner(0x1d);
  auto first = scanner.scan("a\x1d");
  EXPECT_EQ(first.forward, "a");  // the escape character is held back
  EXPECT_FALSE(first.detach);
  auto second = scanner.scan(".b");
  EXPECT_EQ(second.forward, "");
  EXPECT_TRUE(second.detach);
}

TEST(EscapeScanner, ForwardsBothBytesWhenNoDotFollows) {
  EscapeScanner scanner(0x1d);
  auto out = scanner.scan("\x1dx.");
  EXPECT_EQ(out.forward, "\x1dx.");
  EXPECT_FALSE(out.detach);
}

TEST(EscapeScanner, EscapeEscapeDotIsNoDetach) {
  EscapeScanner scanner(0x1d);
  auto out = scanner.scan("\x1d\x1d.");
  EXPECT_EQ(out.forward, "\x1d\x1d.");
  EXPECT_FALSE(out.detach);
}

}  // namespace
}  // namespace cocoon::cli
