// SPDX-License-Identifier: Apache-2.0
#include "guest/supervisor.h"

#include <signal.h>

#include <gtest/gtest.h>

namespace cocoon::guest {
namespace {

// A wait status as Linux lays it out: exit code in bits 8 to 15, signal in bits 0 to 6, 0x80 for a
// core dump.
TEST(ExitCodeOf, IsTheProgramsOwnOr128PlusTheSignal) {
  EXPECT_EQ(exit_code_of(0), 0);
  EXPECT_EQ(exit_code_of(42 << 8), 42);
  EXPECT_EQ(exit_code_of(255 << 8), 255);
  EXPECT_EQ(exit_code_of(SIGKILL), 137);
  EXPECT_EQ(exit_code_of(SIGTERM), 143);
  EXPECT_EQ(exit_code_of(SIGSEGV | 0x80), 139);
}

}  // namespace
}  // namespace cocoon::guest
