// SPDX-License-Identifier: Apache-2.0
// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <optional>
#include <string_view>

namespace cocoon::cidata {

// Takes the first character off the text; nullopt, leaving it as it was, when it is no UTF-8 or
// empty.
std::optional<char32_t> take_character(std::string_view& text);

bool is_utf8(std::string_view text);

}  // namespace cocoon::cidata
