// SPDX-License-Identifier: Apache-2.0
// Progress of long work on stderr: one line that changes on a terminal, plain lines elsewhere.
#pragma once

#include <string>
#include <string_view>

#include "cli/output.h"

namespace cocoon::cli {

class ProgressView {
 public:
  explicit ProgressView(Output& output) : output_(output), terminal_(output.errors_on_terminal()) {}
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;
  // Ends the line of the bar.
  ~ProgressView() { finish(); }

  // One step: "layer [2/7] text"; without a total the count is left out. Elsewhere than on a
  // terminal a line that says the same as the last one is not repeated.
  void step(std::string_view phase, std::size_t done, std::size_t total, std::string_view text);
  void finish();

 private:
  Output& output_;
  bool terminal_;
  std::string last_;
};

}  // namespace cocoon::cli
