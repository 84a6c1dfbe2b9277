// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

#include "shim/text.h"

namespace cocoon::shim {

// Length in bytes of the printable character at the front of `text`: ASCII from 0x20 to 0x7e, or a
// well-formed UTF-8 sequence (RFC 3629) that is not a C1 control. 0 when there is none.
std::size_t printable_length(std::string_view text);

// Appends `text` with everything that is not printable replaced by '?', and blanks at both ends
// removed. What a VMM or guest wrote can then be shown on a terminal and stored as JSON. A
// character that would not fit whole ends the text.
template <std::size_t N>
void add_printable(Text<N>& out, std::string_view text) {
  while (!text.empty() && std::string_view(" \t\r").find(text.back()) != std::string_view::npos)
    text.remove_suffix(1);
  while (!text.empty() && std::string_view(" \t\r").find(text.front()) != std::string_view::npos)
    text.remove_prefix(1);
  while (!text.empty()) {
    const std::size_t length = printable_length(text);
    const std::size_t step = length == 0 ? 1 : length;
    if (out.view().size() + step > N) return;
    out.add(length == 0 ? std::string_view("?") : std::string_view(text.data(), length));
    text.remove_prefix(step);
  }
}

}  // namespace cocoon::shim
