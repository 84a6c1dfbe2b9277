// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace cocoon {
namespace {

Result<int> inner(bool good) {
  if (!good) return fail(ErrorKind::kNotFound, "no {}", "thing");
  return 7;
}

Result<int> outer(bool good) {
  int value = COCOON_TRY(inner(good), "look for \"{}\"", "x");
  return value + 1;
}

TEST(Error, TryUnwrapsOrAddsOneFrame) {
  EXPECT_EQ(*outer(true), 8);
  auto failed = outer(false);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(failed.error().to_string(), "look for \"x\": no thing");
}

TEST(Error, IsOneHarmlessLine) {
  Error error{ErrorKind::kVmm, "said\nevil \x1b]0;", {"inner", "outer"}, 0};
  EXPECT_EQ(error.to_string(), "outer: inner: said\\nevil \\x1b]0;");
}

TEST(Error, KeepsErrno) {
  errno = ENOSPC;
  Result<void> failed = fail_errno("write cow.raw");
  EXPECT_EQ(failed.error().saved_errno, ENOSPC);
  EXPECT_EQ(failed.error().cause, "write cow.raw: No space left on device");
}

}  // namespace
}  // namespace cocoon
