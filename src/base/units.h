// SPDX-License-Identifier: Apache-2.0
// Sizes in bytes: the grammar of --memory, --storage and size= and how sizes are printed
// (spec 01 §7).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon {

inline constexpr std::int64_t kKiB = 1024;
inline constexpr std::int64_t kMiB = 1024 * kKiB;
inline constexpr std::int64_t kGiB = 1024 * kMiB;

// "512M", "1.5G", "2GiB", "1 g", "4294967296" -> bytes; every suffix is a power of 1024.
// kInvalid, naming the text, for anything else, for negative numbers and for more than 2^63-1.
Result<std::int64_t> parse_size(std::string_view text);

// "1GiB", "1.5MiB": four significant digits, powers of 1024. VM tables.
std::string bytes_size(std::int64_t bytes);

// "1.074GB": four significant digits, powers of 1000. Image and snapshot tables.
std::string human_size(std::int64_t bytes);

}  // namespace cocoon
