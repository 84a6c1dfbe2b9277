// SPDX-License-Identifier: Apache-2.0
// Identifiers (spec 01 §6.1).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon {

inline constexpr std::size_t kIdLength = 26;

// A fresh ID of a VM or snapshot: 26 characters A–Z2–7, 130 bits of getrandom(2).
Result<std::string> generate_id();

// True for text of the shape that generate_id makes.
bool is_id(std::string_view text);

// `bytes` random bytes as lower-case hex.
Result<std::string> random_hex(std::size_t bytes);

}  // namespace cocoon
