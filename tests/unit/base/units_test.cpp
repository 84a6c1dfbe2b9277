// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <gtest/gtest.h>

namespace cocoon {
namespace {

struct SizeCase {
  const char* text;
  std::int64_t want;  // -1: refused
};

class ParseSize : public testing::TestWithParam<SizeCase> {};

TEST_P(ParseSize, FollowsTheGrammar) {
  auto size = parse_size(GetParam().text);
  if (GetParam().want < 0) {
    ASSERT_FALSE(size) << *size;
    EXPECT_EQ(size.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(size.error().cause.find(GetParam().text), std::string::npos);
  } else {
    ASSERT_TRUE(size) << size.error().to_string();
    EXPECT_EQ(*size, GetParam().want);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, ParseSize,
                         testing::Values(SizeCase{"1G", kGiB}, SizeCase{"1.5G", kGiB * 3 / 2},
                                         SizeCase{"512M", 512 * kMiB}, SizeCase{"2GiB", 2 * kGiB},
                                         SizeCase{"2gb", 2 * kGiB}, SizeCase{"1 g", kGiB},
                                         SizeCase{"0", 0}, SizeCase{"4294967296", 4294967296},
                                         SizeCase{"7b", 7}, SizeCase{"1t", 1024 * kGiB},
                                         SizeCase{"-1G", -1}, SizeCase{"G", -1},
                                         SizeCase{"1GG", -1}, SizeCase{"", -1}, SizeCase{" 1G", -1},
                                         SizeCase{"1..5G", -1}, SizeCase{"nan", -1},
                                         SizeCase{"99999999999P", -1}, SizeCase{"1x", -1},
                                         SizeCase{"1 2G", -1}));

TEST(Sizes, PrintFourSignificantDigits) {
  EXPECT_EQ(bytes_size(kGiB), "1GiB");
  EXPECT_EQ(bytes_size(1023), "1023B");
  EXPECT_EQ(bytes_size(kMiB * 3 / 2), "1.5MiB");
  EXPECT_EQ(human_size(kGiB), "1.074GB");
  EXPECT_EQ(human_size(0), "0B");
}

}  // namespace
}  // namespace cocoon
