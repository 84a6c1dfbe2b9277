// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cocoon::shim {

// The console's scroll-back: the last 64 KiB of output, addressed by the number of bytes that came
// before. Every client keeps only its position, so no client costs memory and a slow one cannot
// hold anything back: what it has not taken in time is overwritten, and the gap can be counted.
class Ring {
 public:
  static constexpr std::size_t kCapacity = 64 * 1024;

  Ring() {}  // NOLINT(modernize-use-equals-default): would let `Ring()` clear the bytes

  void append(std::string_view bytes);

  // Position of the oldest byte kept, and the one after the newest.
  [[nodiscard]] std::uint64_t begin() const { return end_ < kCapacity ? 0 : end_ - kCapacity; }
  [[nodiscard]] std::uint64_t end() const { return end_; }

  // The bytes from `position` on that lie in one piece, at most `limit`. Empty when there are none;
  // `position` must be in [begin(), end()]. Valid until the next append.
  [[nodiscard]] std::string_view at(std::uint64_t position, std::size_t limit) const;

 private:
  // Not cleared: a page costs memory only when output has reached it.
  std::array<char, kCapacity> bytes_;
  std::uint64_t end_ = 0;
};

}  // namespace cocoon::shim
