// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <array>
#include <charconv>
#include <cmath>

#include "base/text.h"

namespace cocoon {
namespace {

std::string scaled(double value, double step, const std::array<const char*, 9>& units) {
  std::size_t unit = 0;
  while (value >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  return fmt::format("{:.4g}{}", value, units[unit]);
}

// The factor of a size suffix, 0 when there is no such suffix.
double suffix_factor(std::string_view suffix) {
  std::string low = to_lower(suffix);
  if (low.empty() || low == "b") return 1;
  constexpr std::string_view kLetters = "kmgtp";
  auto power = kLetters.find(low[0]);
  if (power == std::string_view::npos) return 0;
  std::string_view rest = std::string_view(low).substr(1);
  if (!rest.empty() && rest != "b" && rest != "ib") return 0;
  return std::pow(1024.0, static_cast<double>(power + 1));
}

}  // namespace

Result<std::int64_t> parse_size(std::string_view text) {
  auto last = text.find_last_of("0123456789. ");
  if (last == std::string_view::npos) {
    return fail(ErrorKind::kInvalid, "invalid size \"{}\": no number", text);
  }
  std::string_view number = text.substr(0, text[last] == ' ' ? last : last + 1);
  double factor = suffix_factor(text.substr(last + 1));
  if (factor == 0) {
    return fail(ErrorKind::kInvalid, "invalid size \"{}\": unknown suffix \"{}\"", text,
                text.substr(last + 1));
  }
  double value = 0;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  bool whole = error == std::errc() && end == number.data() + number.size();
  if (!whole || number.empty() || !std::isfinite(value) || std::signbit(value)) {
    return fail(ErrorKind::kInvalid, "invalid size \"{}\": \"{}\" is not a number", text, number);
  }
  double bytes = value * factor;
  if (bytes >= 9223372036854775807.0) {
    return fail(ErrorKind::kInvalid, "invalid size \"{}\": too large", text);
  }
  return static_cast<std::int64_t>(bytes);
}

std::string bytes_size(std::int64_t bytes) {
  return scaled(static_cast<double>(bytes), 1024,
                {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"});
}

std::string human_size(std::int64_t bytes) {
  return scaled(static_cast<double>(bytes), 1000,
                {"B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"});
}

}  // namespace cocoon
