// SPDX-License-Identifier: Apache-2.0
// Between the user's standard streams and a program in a guest: `vm exec`, `vm run -it`.
#pragma once

#include "agent/session.h"
#include "base/clock.h"
#include "cli/output.h"

namespace cocoon::cli {

struct PumpOptions {
  bool input = false;                // standard input goes to the program; else it has none
  bool terminal = false;             // the program has one
  Milliseconds start_limit{60'000};  // from the first frame to "started"
};

// Checks what the options need of our own streams: -it wants a terminal.
Result<void> check_streams(const PumpOptions& options);

// Carries bytes, window sizes and signals until the program has ended; returns its exit code
// (128 + signal for a death by signal), or 125 to 127 with the error printed when it did not start.
// kInterrupted: the user ended us, and so the program.
Result<int> pump_session(Output& output, agent::Session& session, const PumpOptions& options);

}  // namespace cocoon::cli
