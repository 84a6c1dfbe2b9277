// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "cli/json_output.h"

namespace cocoon::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBarEvery(100);
constexpr milliseconds kJsonEvery(250);
constexpr milliseconds kLineEvery(10'000);
constexpr milliseconds kRateWindow(5'000);
constexpr std::size_t kBarWidth = 24;

std::string bar_of(std::int64_t done, std::int64_t total) {
  auto filled = static_cast<std::size_t>(static_cast<double>(done) * kBarWidth /
                                         static_cast<double>(std::max<std::int64_t>(1, total)));
  filled = std::min(filled, kBarWidth);
  std::string bar(filled, '=');
  if (filled < kBarWidth) bar += '>';
  bar.resize(kBarWidth, ' ');
  return "[" + bar + "]";
}

std::string duration_text(std::int64_t seconds) {
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

}  // namespace

Flag progress_flag(std::string* target) {
  return {.name = "progress",
          .target = target,
          .help = "on standard error: auto, plain lines, json lines or none",
          .value_name = "MODE",
          .choices = {"auto", "plain", "json", "none"}};
}

ProgressMode parse_progress_mode(std::string_view text) {
  if (text == "plain") return ProgressMode::kPlain;
  if (text == "json") return ProgressMode::kJson;
  return text == "none" ? ProgressMode::kNone : ProgressMode::kAuto;
}

void TransferRate::add(TimePoint now, std::int64_t done) {
  // A new attempt begins anew.
  if (!samples_.empty() && done < samples_.back().done) samples_.clear();
  samples_.push_back({now, done});
  while (samples_.size() > 2 && now - samples_.front().at > kRateWindow) samples_.pop_front();
}

double TransferRate::bytes_per_second() const {
  if (samples_.size() < 2) return 0;
  std::chrono::duration<double> time = samples_.back().at - samples_.front().at;
  if (time.count() <= 0) return 0;
  return static_cast<double>(samples_.back().done - samples_.front().done) / time.count();
}

std::optional<std::int64_t> TransferRate::seconds_left(std::int64_t done,
                                                       std::int64_t total) const {
  double rate = bytes_per_second();
  if (rate < 1 || total < done) return std::nullopt;
  return static_cast<std::int64_t>(std::ceil(static_cast<double>(total - done) / rate));
}

std::string transfer_line(std::int64_t done, std::int64_t total, const TransferRate& rate,
                          bool with_bar) {
  std::string line;
  if (total < 0) {
    line = human_size(done);
  } else {
    if (with_bar) line = bar_of(done, total) + " ";
    std::int64_t percent = total == 0
                               ? 100
                               : static_cast<std::int64_t>(100.0 * static_cast<double>(done) /
                                                           static_cast<double>(total));
    line += fmt::format("{}%  {} of {}", percent, human_size(done), human_size(total));
  }
  double speed = rate.bytes_per_second();
  if (speed >= 1) line += fmt::format("  {}/s", human_size(static_cast<std::int64_t>(speed)));
  auto left = total < 0 ? std::nullopt : rate.seconds_left(done, total);
  if (left && done < total) line += fmt::format("  {} left", duration_text(*left));
  return line;
}

ProgressView::ProgressView(Output& output, ProgressMode mode)
    : output_(output),
      mode_(mode),
      terminal_(mode == ProgressMode::kAuto && output.errors_on_terminal()),
      shown_at_(std::chrono::steady_clock::now()) {}

void ProgressView::step(std::string_view phase, std::size_t done, std::size_t total,
                        std::string_view text) {
  if (mode_ == ProgressMode::kNone) return;
  if (mode_ == ProgressMode::kJson) {
    nlohmann::json line = {{"phase", phase}, {"done", done}, {"total", total}, {"text", text}};
    output_.remark(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  std::string line(phase);
  if (total > 0 && done > 0) line += fmt::format(" [{}/{}]", done, total);
  steps_ = total > 0 && done > 0 ? line : "";
  if (!text.empty()) line += fmt::format(" {}", text);
  if (line == last_) return;
  last_ = line;
  if (terminal_) {
    output_.draw_bar(line);
  } else {
    output_.remark(line);
  }
}

// Not more often than is of use, and always at the end.
bool ProgressView::is_due(TimePoint now, std::int64_t done, std::int64_t total) {
  bool at_end = done == total;
  auto every = terminal_ ? kBarEvery : mode_ == ProgressMode::kJson ? kJsonEvery : kLineEvery;
  if (at_end ? shown_end_ : now - shown_at_ < every) return false;
  // A quick transfer needs no line of its own where lines stay.
  if (at_end && !terminal_ && mode_ != ProgressMode::kJson) return false;
  shown_end_ = at_end;
  shown_at_ = now;
  return true;
}

void ProgressView::transfer(std::string_view phase, std::int64_t done, std::int64_t total) {
  if (mode_ == ProgressMode::kNone) return;
  TimePoint now = std::chrono::steady_clock::now();
  if (done != total) shown_end_ = false;
  if (!is_due(now, done, total)) return;
  rate_.add(now, done);
  if (mode_ == ProgressMode::kJson) {
    nlohmann::json line = {
        {"phase", phase},
        {"bytes_done", done},
        {"bytes_total", total < 0 ? nlohmann::json() : nlohmann::json(total)},
        {"bytes_per_second", static_cast<std::int64_t>(rate_.bytes_per_second())}};
    output_.remark(line.dump());
    return;
  }
  std::string line = fmt::format("{} {}", phase, transfer_line(done, total, rate_, terminal_));
  if (terminal_ && !steps_.empty()) line += "  " + steps_;
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
