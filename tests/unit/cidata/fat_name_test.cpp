// SPDX-License-Identifier: Apache-2.0
#include "cidata/fat_name.h"

#include <gtest/gtest.h>

namespace cocoon::cidata {
namespace {

TEST(FatNames, MakesShortNamesAsTheSpecCounts) {
  auto names = fat_names({"README", "A.TXT", "meta-data", "network-config", "user-data", "a.b.html",
                          ".profile", "x y+z"});
  ASSERT_TRUE(names) << names.error().to_string();
  const std::vector<std::pair<std::string, std::string>> wanted{
      {"README     ", ""},          {"A       TXT", ""},
      {"META-D~1   ", "meta-data"}, {"NETWOR~2   ", "network-config"},
      {"USER-D~3   ", "user-data"}, {"AB~4    HTM", "a.b.html"},
      {"PROFIL~5   ", ".profile"},  {"X_Y_Z~6    ", "x y+z"},
  };
  ASSERT_EQ(names->size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ((*names)[i].short_name, wanted[i].first);
    EXPECT_EQ((*names)[i].long_name, wanted[i].second);
  }
}

TEST(FatNames, RefusesBadAndEqualNames) {
  const std::vector<std::vector<std::string>> bad{
      {""},         {" a"},     {"a "},
      {"a."},       {"."},      {".."},
      {"a/b"},      {"a:b"},    {"a\nb"},
      {"\xc3\xa9"}, {"a\"b"},   {"a*b"},
      {"a\\b"},     {"a|b"},    {std::string(256, 'a')},
      {"a", "A"},   {"x", "x"}, {"META-D~1", "meta-data"},  // the made short name is taken
  };
  for (const auto& names : bad) {
    auto made = fat_names(names);
    ASSERT_FALSE(made) << names[0];
    EXPECT_EQ(made.error().kind, ErrorKind::kInvalid);
  }
  EXPECT_TRUE(fat_names({std::string(255, 'a')}));
}

TEST(LongNameEntries, HoldTheNameLastPartFirst) {
  auto names = fat_names({"network-config"});  // 14 characters: two entries
  ASSERT_TRUE(names);
  std::string entries = long_name_entries(names->front());
  ASSERT_EQ(entries.size(), 64U);
  EXPECT_EQ(entries.substr(0, 1), "\x42");  // part 2, the last
  EXPECT_EQ(entries.substr(1, 6), std::string("g\0\0\0\xff\xff", 6));
  EXPECT_EQ(entries[11], 0x0f);
  EXPECT_EQ(entries[32], 1);
  EXPECT_EQ(entries.substr(33, 10), std::string("n\0e\0t\0w\0o\0", 10));
  EXPECT_EQ(entries.substr(46, 12), std::string("r\0k\0-\0c\0o\0n\0", 12));
  EXPECT_EQ(entries.substr(60, 4), std::string("f\0i\0", 4));
  EXPECT_EQ(entries[13], entries[45]);  // one checksum
}

TEST(LongNameEntries, OfThirteenCharactersHaveNoTerminator) {
  auto names = fat_names({"abcdefghijklm"});
  ASSERT_TRUE(names);
  std::string entries = long_name_entries(names->front());
  ASSERT_EQ(entries.size(), 32U);
  EXPECT_EQ(entries.substr(28, 4), std::string("l\0m\0", 4));
}

TEST(LongNameEntries, AreAbsentForAShortName) {
  EXPECT_EQ(long_name_entries({"README     ", ""}), "");
}

}  // namespace
}  // namespace cocoon::cidata
