// SPDX-License-Identifier: Apache-2.0
// Small pure functions on text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cocoon {

// `text` with control characters and DEL written as \xNN, so that one message stays one line and
// cannot drive a terminal.
std::string escape_controls(std::string_view text);

// Blanks (space, tab, CR, LF) removed at both ends.
std::string_view trim(std::string_view text);

// Parts between separators; an empty text has one empty part.
std::vector<std::string_view> split(std::string_view text, char separator);

// A decimal number that fills the whole text, without sign; nullopt else or when it overflows.
std::optional<std::uint64_t> parse_decimal(std::string_view text);

// An integer as flags take it (spec 01 §1): optional sign, base prefixes 0x, 0o, 0b.
std::optional<std::int64_t> parse_integer(std::string_view text);

// Lower-case hex digits of the bytes.
std::string to_hex(std::string_view bytes);

// True for exactly 64 lower-case hex digits: a SHA-256 as it stands in digests and blob names.
bool is_sha256_hex(std::string_view text);

std::string to_lower(std::string_view text);

// The last `count` lines of the text, without a trailing newline.
std::string last_lines(std::string_view text, std::size_t count);

}  // namespace cocoon
