// SPDX-License-Identifier: Apache-2.0
// Cancellation by SIGINT and SIGTERM. The first signal cancels the command's work, which unwinds
// through its rollback; a second one ends the process at once with 130 (spec 01 §24 row 40).
#pragma once

#include "base/error.h"
#include "sys/fd.h"

namespace cocoon::sys {

// Installs the handlers; call once, before any thread starts. The handlers are not inherited by
// programs we start (exec resets them).
Result<void> install_cancel_signals();

// True once a signal came.
bool cancelled();

// kInterrupted once a signal came, else success: the check between two steps.
Result<void> check_cancelled();

// A descriptor that becomes readable when a signal came (never read from it); -1 before
// install_cancel_signals. For poll() beside what is waited for.
int cancel_fd();

// While one lives, cancelled() is false and cancel_fd() is -1 on this thread: rollback must not be
// stopped by the very signal that caused it.
class [[nodiscard]] CancelShield {
 public:
  CancelShield();
  ~CancelShield();
  CancelShield(const CancelShield&) = delete;
  CancelShield& operator=(const CancelShield&) = delete;
};

}  // namespace cocoon::sys
