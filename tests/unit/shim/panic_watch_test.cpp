// SPDX-License-Identifier: Apache-2.0
#include "shim/panic_watch.h"

#include <gtest/gtest.h>

namespace cocoon::shim {
namespace {

constexpr unsigned kLast = PanicWatch::kLimit;

TEST(PanicWatch, SomeBootsInARowAreEnough) {
  PanicWatch watch;
  EXPECT_FALSE(watch.is_over(0, 0));
  for (unsigned boot = 1; boot < kLast; ++boot) {
    EXPECT_FALSE(watch.is_over(1000 * boot, boot));
    EXPECT_FALSE(watch.is_over(1000 * boot + 500, boot));
  }
  EXPECT_TRUE(watch.is_over(1000 * kLast, kLast));
}

TEST(PanicWatch, SomethingElseInBetweenBeginsAgain) {
  PanicWatch watch;
  EXPECT_FALSE(watch.is_over(0, 0));
  for (unsigned boot = 1; boot < kLast; ++boot) EXPECT_FALSE(watch.is_over(1000 * boot, boot));
  EXPECT_FALSE(watch.is_over(20'000, 0));
  for (unsigned boot = 1; boot < kLast; ++boot) {
    EXPECT_FALSE(watch.is_over(20'000 + 1000 * boot, boot));
  }
  EXPECT_TRUE(watch.is_over(40'000, kLast));
}

TEST(PanicWatch, ALogThatIsShownIsNoBoot) {
  PanicWatch watch;
  EXPECT_FALSE(watch.is_over(0, 0));
  EXPECT_FALSE(watch.is_over(1000, 1));
  for (unsigned line = 2; line < 10; ++line) EXPECT_FALSE(watch.is_over(1000 + line, line));
}

TEST(PanicWatch, WhatAnEarlierShimSawIsOfThePast) {
  PanicWatch watch;
  EXPECT_FALSE(watch.is_over(0, 7));
  for (unsigned boot = 1; boot < kLast; ++boot) EXPECT_FALSE(watch.is_over(1000 * boot, 7 + boot));
  EXPECT_TRUE(watch.is_over(1000 * kLast, 7 + kLast));
}

}  // namespace
}  // namespace cocoon::shim
