// SPDX-License-Identifier: Apache-2.0
#include "sys/process.h"

#include <gtest/gtest.h>

namespace cocoon::sys {
namespace {

TEST(Process, KnowsItself) {
  ProcessRef self = self_process();
  EXPECT_EQ(self.pid, getpid());
  EXPECT_GT(self.start_time, 0U);
  EXPECT_TRUE(is_alive(self));
}

TEST(Process, TerminatingWhatIsGoneIsSuccess) {
  EXPECT_TRUE(terminate({getpid(), 1}, Milliseconds(0)));  // not our start time: a stranger
  EXPECT_TRUE(terminate({0, 0}, Milliseconds(0)));
}

TEST(Process, ReadsTheBootId) {
  auto id = host_boot_id();
  ASSERT_TRUE(id);
  EXPECT_EQ(id->size(), 36U);
}

}  // namespace
}  // namespace cocoon::sys
