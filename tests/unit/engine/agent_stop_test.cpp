// SPDX-License-Identifier: Apache-2.0
#include "engine/agent_stop.h"

#include <gtest/gtest.h>

namespace cocoon::engine {
namespace {

TEST(AgentStopLimits, LeaveTheBackendHalfOfTheTime) {
  for (int left : {0, 1, 3, 500, 1'000, 5'000, 14'400, 30'000, 600'000}) {
    AgentStopLimits limits = agent_stop_limits(Milliseconds(left));
    EXPECT_GE(limits.connect.count(), 0);
    EXPECT_GE(limits.answer.count(), 0);
    EXPECT_LE(limits.connect + limits.answer, Milliseconds(left) / 2) << left;
  }
}

TEST(AgentStopLimits, AreShortHoweverMuchTimeThereIs) {
  AgentStopLimits limits = agent_stop_limits(std::chrono::hours(1));
  EXPECT_EQ(limits.connect, Milliseconds(1'200));
  EXPECT_EQ(limits.answer, Milliseconds(6'000));
}

}  // namespace
}  // namespace cocoon::engine
