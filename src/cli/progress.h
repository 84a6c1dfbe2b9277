// SPDX-License-Identifier: Apache-2.0
// Progress of long work on stderr: one line that changes on a terminal, plain and sparse lines
// elsewhere, or JSON lines for programs.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "cli/output.h"

namespace cocoon::cli {

// --progress.
enum class ProgressMode { kAuto, kPlain, kJson, kNone };
Flag progress_flag(std::string* target);
ProgressMode parse_progress_mode(std::string_view text);

using TimePoint = std::chrono::steady_clock::time_point;

// How fast something came in lately, and how long the rest will take.
class TransferRate {
 public:
  void add(TimePoint now, std::int64_t done);
  // Bytes a second; 0 while there is nothing to tell it from.
  double bytes_per_second() const;
  std::optional<std::int64_t> seconds_left(std::int64_t done, std::int64_t total) const;

 private:
  struct Sample {
    TimePoint at;
    std::int64_t done = 0;
  };
  std::deque<Sample> samples_;
};

// "[=====>    ] 45%  123MB of 270MB  33MB/s  4s left"; what is not known is left out. Pure.
std::string transfer_line(std::int64_t done, std::int64_t total, const TransferRate& rate,
                          bool with_bar);

class ProgressView {
 public:
  explicit ProgressView(Output& output, ProgressMode mode = ProgressMode::kAuto);
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;
  // Ends the line of the bar.
  ~ProgressView() { finish(); }

  // One step: "layer [2/7] text"; without a total the count is left out. Elsewhere than on a
  // terminal a line that says the same as the last one is not repeated.
  void step(std::string_view phase, std::size_t done, std::size_t total, std::string_view text);
  // How far a transfer is; may be called as often as one likes. `total` -1: not known.
  void transfer(std::string_view phase, std::int64_t done, std::int64_t total);
  void finish();

 private:
  bool is_due(TimePoint now, std::int64_t done, std::int64_t total);

  Output& output_;
  ProgressMode mode_;
  bool terminal_;
  std::string last_;
  std::string steps_;  // the last step with a count, beside the bar
  TransferRate rate_;
  TimePoint shown_at_;
  bool shown_end_ = false;
};

}  // namespace cocoon::cli
