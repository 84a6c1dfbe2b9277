// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "shim/text.h"

namespace cocoon::shim {

// What the Linux kernel says last (kernel/reboot.c).
enum class KernelWord {
  kNone,
  kPowerDown,  // "reboot: Power down"
  kHalted,     // "reboot: System halted", "reboot: Power off not available…": it stands still
  kRestart,    // "reboot: Restarting system"
};

// Watches the console for the lines that tell how a guest ended:
//
//   cocoon-exit <nonce> <code>     written by our guest program as its last line; code 0..255
//   reboot: …                      a KernelWord, usually after "[   12.345678] "; counts only while
//                                  nothing follows it
//   [ …] Kernel panic - not syncing: …   counted until a line comes that is not the kernel's, which
//                                  are those that begin with "["
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

  // What the last line that is not blank, finished or not, says; of this run for sure.
  [[nodiscard]] KernelWord word() const { return doubtful_ ? KernelWord::kNone : last_word(); }
  [[nodiscard]] bool powered_down() const { return word() == KernelWord::kPowerDown; }

  // The guest says that it has come to its end. Perhaps of an earlier run: act on it only with
  // other evidence.
  [[nodiscard]] bool may_have_halted() const {
    const KernelWord said = last_word();
    return said == KernelWord::kPowerDown || said == KernelWord::kHalted;
  }

  // How many panics the kernel has announced, one boot after the other, without a sign of anything
  // but the kernel in between.
  [[nodiscard]] unsigned panics() const { return panics_; }
  // What the last of them was about; as the guest wrote it.
  [[nodiscard]] std::string_view panic() const { return panic_.view(); }

  // From now on the kernel's word is in doubt until a line follows (the exit code is not). For the
  // adopter, which feeds what an earlier shim logged: the nonce proves that a marker is of this
  // run, but nothing proves it for the kernel's line.
  void doubt_word() { doubtful_ = true; }

 private:
  static constexpr std::size_t kMaxLine = 256;

  [[nodiscard]] std::string_view line() const;
  [[nodiscard]] KernelWord last_word() const;
  void end_line();
  void count_panic(std::string_view line);

  std::string_view nonce_;
  std::array<char, kMaxLine> buffer_{};
  std::size_t used_ = 0;
  bool too_long_ = false;
  bool doubtful_ = false;
  KernelWord word_ = KernelWord::kNone;
  std::optional<int> guest_exit_;
  unsigned panics_ = 0;
  Text<128> panic_;
};

}  // namespace cocoon::shim
