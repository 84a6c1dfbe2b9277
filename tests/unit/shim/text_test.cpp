// SPDX-License-Identifier: Apache-2.0
#include "shim/text.h"

#include <string>

#include <gtest/gtest.h>

#include "shim/outcome.h"
#include "shim/printable.h"

namespace cocoon::shim {
namespace {

TEST(TextTest, CutsAtItsCapacity) {
  Text<5> text("abc");
  text.add("defg").add("h");
  EXPECT_EQ(text.view(), "abcde");
  EXPECT_STREQ(text.c_str(), "abcde");
  text.clear();
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(text.add_number(-12).view(), "-12");
}

TEST(TextTest, TakesPieces) {
  std::string_view rest = "a,,b";
  EXPECT_EQ(take_until(rest, ','), "a");
  EXPECT_EQ(take_until(rest, ','), "");
  EXPECT_EQ(take_until(rest, ','), "b");
  EXPECT_TRUE(rest.empty());
}

TEST(OutcomeTest, NamesTheError) {
  EXPECT_EQ(failure_errno("exec /x", ENOENT).why.view(), "exec /x: No such file or directory");
  EXPECT_EQ(failure_errno("exec /x", 9999).why.view(), "exec /x: unknown error");
}

std::string printable(std::string_view text) {
  Text<16> out;
  add_printable(out, text);
  return std::string(out.view());
}

TEST(PrintableTest, KeepsTextAndReplacesTheRest) {
  EXPECT_EQ(printable("plain ~"), "plain ~");
  EXPECT_EQ(printable("  trimmed\t\r"), "trimmed");
  EXPECT_EQ(printable("a\x1b[2Jb\x7f"), "a?[2Jb?");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(printable("\xe2\x82\xac \xf0\x9f\x90\x9b"), "\xe2\x82\xac \xf0\x9f\x90\x9b");
}

TEST(PrintableTest, RefusesMalformedUtf8) {
  EXPECT_EQ(printable("\xc3"), "?");                 // cut off
  EXPECT_EQ(printable("\xc3("), "?(");               // no continuation
  EXPECT_EQ(printable("\xc0\xaf"), "??");            // longer than needed
  EXPECT_EQ(printable("\xed\xa0\x80"), "???");       // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "????");  // above U+10FFFF
  EXPECT_EQ(printable("\xc2\x9b"
                      "1m"),
            "??1m");  // C1 control, a terminal's CSI
  EXPECT_EQ(printable("\xff\xfe"), "??");
}

TEST(PrintableTest, NeverCutsACharacter) {
  EXPECT_EQ(printable(std::string(15, 'a') + "\xc3\xbc"), std::string(15, 'a'));
  EXPECT_EQ(printable(std::string(14, 'a') + "\xc3\xbc"), std::string(14, 'a') + "\xc3\xbc");
}

}  // namespace
}  // namespace cocoon::shim
