// SPDX-License-Identifier: Apache-2.0
#include "shim/halt_watch.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace cocoon::shim {
namespace {

TEST(HaltWatch, WaitsForStillness) {
  HaltWatch watch;
  EXPECT_FALSE(watch.is_over(100, 7));
  EXPECT_FALSE(watch.is_over(5099, 7));
  EXPECT_TRUE(watch.is_over(5100, 7));
}

TEST(HaltWatch, AnyMovementStartsAnew) {
  HaltWatch watch;
  EXPECT_FALSE(watch.is_over(0, 7));
  EXPECT_FALSE(watch.is_over(4000, 8));
  EXPECT_FALSE(watch.is_over(8000, 8));
  EXPECT_TRUE(watch.is_over(9000, 8));
  watch.reset();
  EXPECT_FALSE(watch.is_over(20'000, 8));
}

TEST(HaltWatch, UnknownIsNoStillness) {
  HaltWatch watch;
  for (long long now = 0; now < 60'000; now += 1000) {
    EXPECT_FALSE(watch.is_over(now, std::nullopt));
  }
}

TEST(ContextSwitches, AreTheSumOfBothCounters) {
  EXPECT_EQ(parse_context_switches("Name:\tfc_vcpu 0\nvoluntary_ctxt_switches:\t12\n"
                                   "nonvoluntary_ctxt_switches:\t30\n"),
            42U);
  EXPECT_EQ(parse_context_switches("Name:\tiou-wrk-4711\nvoluntary_ctxt_switches:\t12\n"
                                   "nonvoluntary_ctxt_switches:\t30\n"),
            0U);
  EXPECT_EQ(parse_context_switches("voluntary_ctxt_switches:\t12\n"), std::nullopt);
  EXPECT_EQ(parse_context_switches("voluntary_ctxt_switches:\tx\n"
                                   "nonvoluntary_ctxt_switches:\t1\n"),
            std::nullopt);
  EXPECT_EQ(parse_context_switches(""), std::nullopt);
}

TEST(ContextSwitches, GrowWithAProcessThatWakesUp) {
  const pid_t child = ::fork();
  if (child == 0) {
    while (true) ::usleep(1000);
  }
  const auto before = count_context_switches(child);
  ASSERT_TRUE(before);
  auto after = before;
  for (int i = 0; i < 500 && after && *after <= *before + 3; ++i) {
    ::usleep(10'000);
    after = count_context_switches(child);
  }
  ASSERT_TRUE(after);
  EXPECT_GT(*after, *before + 3);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(count_context_switches(child));
}

}  // namespace
}  // namespace cocoon::shim
