// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648, section 4), with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cocoon {

std::string encode_base64(std::string_view bytes);

// nullopt: not base64. Strict: no blanks, complete padding, no stray bits in the last digit.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace cocoon
