// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstring>
#include <string_view>

#include "shim/text.h"

namespace cocoon::shim {

// One line saying which step failed and why; what the engine is told after `error `.
using Line = Text<512>;

// Success, or the line that says what failed. The shim has few callers to branch for, so unlike the
// engine's Result there is no kind: exit codes are chosen in main.
struct [[nodiscard]] Outcome {
  bool ok = true;
  Line why{};
};

inline Outcome success() { return {}; }

inline Outcome failure(std::string_view why) { return {false, Line(why)}; }

// "<step>: <text of error_number>". The text comes from strerrordesc_np: English in every locale,
// and it does not link message catalogues into a static program.
inline Outcome failure_errno(std::string_view step, int error_number = errno) {
  const char* const text = strerrordesc_np(error_number);
  Outcome outcome = failure(step);
  outcome.why.add(": ").add(text != nullptr ? text : "unknown error");
  return outcome;
}

}  // namespace cocoon::shim
