// SPDX-License-Identifier: Apache-2.0
#include "cidata/utf8.h"

#include <cstddef>

namespace cocoon::cidata {
namespace {

struct Lead {
  std::size_t length;
  char32_t bits;   // of the value, from the first byte
  char32_t least;  // smaller values have a shorter form
};

std::optional<Lead> read_lead(unsigned char byte) {
  if (byte < 0x80) return Lead{1, byte, 0};
  if (byte >= 0xc2 && byte < 0xe0) return Lead{2, byte & 0x1fU, 0x80};
  if (byte >= 0xe0 && byte < 0xf0) return Lead{3, byte & 0x0fU, 0x800};
  if (byte >= 0xf0 && byte < 0xf5) return Lead{4, byte & 0x07U, 0x10000};
  return std::nullopt;
}

}  // namespace

std::optional<char32_t> take_character(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  auto lead = read_lead(static_cast<unsigned char>(text[0]));
  if (!lead || text.size() < lead->length) return std::nullopt;
  char32_t value = lead->bits;
  for (std::size_t i = 1; i < lead->length; ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0U) != 0x80) return std::nullopt;
    value = (value << 6) | (byte & 0x3fU);
  }
  bool surrogate = value >= 0xd800 && value < 0xe000;
  if (value < lead->least || surrogate || value > 0x10ffff) return std::nullopt;
  text.remove_prefix(lead->length);
  return value;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    if (!take_character(text)) return false;
  }
  return true;
}

}  // namespace cocoon::cidata
