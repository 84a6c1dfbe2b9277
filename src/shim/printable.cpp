// SPDX-License-Identifier: Apache-2.0
#include "shim/printable.h"

namespace cocoon::shim {
namespace {

struct Form {
  unsigned mask = 0;
  unsigned lead = 0;
  std::size_t length = 0;
  unsigned long least = 0;  // smaller values must use a shorter form
};

constexpr Form kForms[] = {
    {0xe0, 0xc0, 2, 0x80},
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
};

bool is_scalar(unsigned long value) {
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  return value <= 0x10ffff && !surrogate;
}

}  // namespace

std::size_t printable_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  for (const Form& form : kForms) {
    if ((first & form.mask) != form.lead || text.size() < form.length) continue;
    unsigned long value = first & ~form.mask;
    for (std::size_t i = 1; i < form.length; ++i) {
      const auto next = static_cast<unsigned char>(text[i]);
      if ((next & 0xc0U) != 0x80U) return 0;
      value = (value << 6) | (next & 0x3fU);
    }
    constexpr unsigned long kFirstBehindC1 = 0xa0;
    const bool fits = value >= form.least && value >= kFirstBehindC1 && is_scalar(value);
    return fits ? form.length : 0;
  }
  return 0;
}

}  // namespace cocoon::shim
