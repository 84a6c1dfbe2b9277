// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/launch.h"

namespace cocoon::shim {

// The child's side of a launch: takes the steps in the order that its source gives reasons for,
// waits for a byte on `go`, and execs. Writes the failing step to `errors`. Never returns; exits
// without a word when `go` closes unread, because then the shim is dead.
[[noreturn]] void become_vmm(const VmmPlan& plan, int go, int errors);

}  // namespace cocoon::shim
