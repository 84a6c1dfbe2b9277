// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

namespace cocoon::cli {

void ProgressView::step(std::string_view phase, std::size_t done, std::size_t total,
                        std::string_view text) {
  std::string line(phase);
  if (total > 0 && done > 0) line += fmt::format(" [{}/{}]", done, total);
  if (!text.empty()) line += fmt::format(" {}", text);
  if (line == last_) return;
  last_ = line;
  if (terminal_) {
    output_.draw_bar(line);
  } else {
    output_.remark(line);
  }
}

void ProgressView::finish() {
  if (terminal_) output_.draw_bar("");
}

}  // namespace cocoon::cli
