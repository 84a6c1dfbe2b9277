// SPDX-License-Identifier: Apache-2.0
#include "shim/marker.h"

#include <cstring>

namespace cocoon::shim {
namespace {

std::optional<int> parse_exit(std::string_view line, std::string_view nonce) {
  if (take_until(line, ' ') != "cocoon-exit") return std::nullopt;
  if (take_until(line, ' ') != nonce) return std::nullopt;
  unsigned code = 0;
  const bool leading_zero = line.size() > 1 && line.front() == '0';
  if (leading_zero || !parse_number(line, code) || code > 255) return std::nullopt;
  return static_cast<int>(code);
}

// Skips "[   12.345678] " and, with CONFIG_PRINTK_CALLER, "[    T1] "; empty when one has no end.
std::string_view without_stamps(std::string_view line) {
  while (line.starts_with('[')) {
    const std::size_t close = line.find(']');
    if (close == std::string_view::npos) return {};
    line.remove_prefix(close + 1);
    while (line.starts_with(' ')) line.remove_prefix(1);
  }
  return line;
}

KernelWord kernel_word(std::string_view line) {
  line = without_stamps(line);
  if (line == "reboot: Power down") return KernelWord::kPowerDown;
  if (line == "reboot: System halted") return KernelWord::kHalted;
  // Newer kernels go on with ": System halted instead", and with "with command '…'".
  if (line.starts_with("reboot: Power off not available")) return KernelWord::kHalted;
  if (line.starts_with("reboot: Restarting system")) return KernelWord::kRestart;
  return KernelWord::kNone;
}

}  // namespace

std::string_view Marker::line() const {
  std::string_view text(buffer_.data(), used_);
  while (text.starts_with('\r')) text.remove_prefix(1);
  while (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

void Marker::end_line() {
  const std::string_view text = line();
  if (too_long_ || !text.empty()) doubtful_ = false;
  if (too_long_) {
    word_ = KernelWord::kNone;
    panics_ = 0;
  } else if (!text.empty()) {
    word_ = kernel_word(text);
    count_panic(text);
    if (const std::optional<int> code = parse_exit(text, nonce_)) guest_exit_ = code;
  }
  used_ = 0;
  too_long_ = false;
}

void Marker::count_panic(std::string_view line) {
  if (!line.starts_with('[')) {
    panics_ = 0;
    return;
  }
  constexpr std::string_view kPanic = "Kernel panic - not syncing: ";
  line = without_stamps(line);
  if (!line.starts_with(kPanic)) return;
  line.remove_prefix(kPanic.size());
  ++panics_;
  panic_.clear();
  panic_.add(line);
}

void Marker::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const bool ends = bytes.find('\n') != std::string_view::npos;
    const std::string_view piece = take_until(bytes, '\n');
    if (!piece.empty() && piece.size() <= buffer_.size() - used_) {
      std::memcpy(buffer_.data() + used_, piece.data(), piece.size());
      used_ += piece.size();
    } else if (!piece.empty()) {
      too_long_ = true;
    }
    if (ends) end_line();
  }
}

KernelWord Marker::last_word() const {
  if (too_long_) return KernelWord::kNone;
  const std::string_view text = line();
  return text.empty() ? word_ : kernel_word(text);
}

}  // namespace cocoon::shim
