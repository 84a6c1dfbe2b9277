// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace cocoon::shim {

// Watches the console for the two lines that tell how a guest ended:
//
//   cocoon-exit <nonce> <code>     written by our guest program as its last line; code 0..255
//   reboot: Power down             written by the Linux kernel (kernel/reboot.c), usually after
//                                  "[   12.345678] "; counts only while nothing follows it
//
// A line starts at the beginning of the stream or after LF; CRs around it are ignored. Bytes come
// from a hostile guest, in pieces of any size; a line longer than the buffer is skipped whole.
class Marker {
 public:
  Marker() = default;
  // `nonce` must outlive this object.
  explicit Marker(std::string_view nonce) : nonce_(nonce) {}

  void feed(std::string_view bytes);

  // The code of the last complete marker line; an unfinished one could have lost a digit.
  [[nodiscard]] std::optional<int> guest_exit() const { return guest_exit_; }

  // True when the last line that is not blank, finished or not, is the kernel's.
  [[nodiscard]] bool powered_down() const;

  // Forgets the power-off line (not the exit code). For the adopter, which feeds what an earlier
  // shim logged: the nonce proves that a marker is of this run, but nothing proves it for the
  // kernel's line.
  void forget_power_down() { powered_down_ = false; }

 private:
  static constexpr std::size_t kMaxLine = 256;

  [[nodiscard]] std::string_view line() const;
  void end_line();

  std::string_view nonce_;
  std::array<char, kMaxLine> buffer_{};
  std::size_t used_ = 0;
  bool too_long_ = false;
  bool powered_down_ = false;
  std::optional<int> guest_exit_;
};

}  // namespace cocoon::shim
