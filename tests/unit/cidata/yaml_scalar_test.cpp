// SPDX-License-Identifier: Apache-2.0
#include "cidata/yaml_scalar.h"

#include <gtest/gtest.h>

#include "cidata/utf8.h"

namespace cocoon::cidata {
namespace {

TEST(YamlQuoted, KeepsEveryTextInOneScalar) {
  struct Case {
    std::string text, quoted;
  };
  const std::vector<Case> cases{
      {"", R"("")"},
      {"web-1", R"("web-1")"},
      {"true", R"("true")"},
      {"123", R"("123")"},
      {"it's", R"("it's")"},
      {"a\"b\\c", R"("a\"b\\c")"},
      {"a: b # c", R"("a: b # c")"},
      {"a\nb\tc\rd", R"("a\nb\tc\x0dd")"},
      {"\x1b[31m\x7f", R"("\x1b[31m\x7f")"},
      {"\xc3\xa9", R"("\xe9")"},                    // é
      {"\xc2\x85\xe2\x80\xa8", R"("\x85\u2028")"},  // line breaks of YAML 1.1
      {"\xf0\x9f\x90\x9b", R"("\U0001f41b")"},
  };
  for (const Case& one : cases) {
    auto quoted = yaml_quoted(one.text);
    ASSERT_TRUE(quoted) << one.quoted;
    EXPECT_EQ(*quoted, one.quoted);
  }
}

TEST(YamlQuoted, RefusesWhatIsNoText) {
  const std::vector<std::string> bad{
      std::string("a\0b", 3),
      "\xff",
      "\xc3",              // cut short
      "\xc0\xaf",          // overlong '/'
      "\xe0\x80\xaf",      // overlong '/'
      "\xed\xa0\x80",      // surrogate
      "\xf4\x90\x80\x80",  // above U+10FFFF
      "\x80",
  };
  for (const std::string& text : bad) {
    auto quoted = yaml_quoted(text);
    ASSERT_FALSE(quoted) << *quoted;
    EXPECT_EQ(quoted.error().kind, ErrorKind::kInvalid);
  }
}

TEST(Utf8, KnowsTheEdgesOfEachLength) {
  for (std::string_view text : {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xef\xbf\xbf",
                                "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    std::string_view rest = text;
    EXPECT_TRUE(take_character(rest));
    EXPECT_TRUE(rest.empty());
  }
  EXPECT_TRUE(is_utf8(""));
  EXPECT_FALSE(is_utf8("ok\xe2\x80"));
}

}  // namespace
}  // namespace cocoon::cidata
