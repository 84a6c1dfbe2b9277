// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace cocoon::shim {

// A line of text in a fixed buffer, always NUL-terminated. What does not fit is cut without notice:
// every use is a message for people or a record with a bound of its own. The shim has no heap, so
// that its memory cannot grow with what a guest or a client sends.
template <std::size_t N>
class Text {
 public:
  Text() = default;
  explicit Text(std::string_view text) { add(text); }

  Text& add(std::string_view piece) {
    const std::size_t fits = piece.size() < N - used_ ? piece.size() : N - used_;
    if (fits > 0) std::memcpy(bytes_.data() + used_, piece.data(), fits);
    used_ += fits;
    bytes_[used_] = '\0';
    return *this;
  }

  template <std::integral Number>
  Text& add_number(Number value) {
    std::array<char, 24> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    return add({digits.data(), static_cast<std::size_t>(end.ptr - digits.data())});
  }

  void clear() {
    used_ = 0;
    bytes_[0] = '\0';
  }

  [[nodiscard]] std::string_view view() const { return {bytes_.data(), used_}; }
  [[nodiscard]] const char* c_str() const { return bytes_.data(); }
  [[nodiscard]] bool empty() const { return used_ == 0; }

 private:
  std::size_t used_ = 0;
  std::array<char, N + 1> bytes_{};
};

// Cuts `text` up to and including the first `separator` off its front and returns what stood before
// it; takes everything when there is none.
inline std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) {
    const std::string_view all = text;
    text = {};
    return all;
  }
  const std::string_view head(text.data(), at);
  text.remove_prefix(at + 1);
  return head;
}

// Parses the whole of `text` as a decimal number without sign, blanks or other decoration (a minus
// sign is accepted for signed types only).
template <std::integral Number>
[[nodiscard]] bool parse_number(std::string_view text, Number& value) {
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  return result.ec == std::errc{} && result.ptr == end;
}

}  // namespace cocoon::shim
