// SPDX-License-Identifier: Apache-2.0
// Values of HTTP headers, and other texts that servers send. Pure; the input is hostile.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cocoon::image {

// One challenge of a WWW-Authenticate header (RFC 9110 §11.6.1).
struct Challenge {
  std::string scheme;                             // "basic", "bearer": lower case
  std::map<std::string, std::string> parameters;  // names in lower case
};
// What cannot be read is left out.
std::vector<Challenge> parse_challenges(std::string_view value);

// "bytes 0-99/1234" of a 206 answer (RFC 9110 §14.4).
struct ContentRange {
  std::int64_t first = 0;
  std::int64_t last = 0;    // inclusive
  std::int64_t total = -1;  // -1: not said
  bool operator==(const ContentRange&) const = default;
};
std::optional<ContentRange> parse_content_range(std::string_view value);

// Content-Length; nullopt for anything else than a number.
std::optional<std::int64_t> parse_content_length(std::string_view value);

// Seconds of a Retry-After header; nullopt for a date, which nobody needs to wait for, and
// nonsense.
std::optional<std::int64_t> parse_retry_after(std::string_view value);

// The digest, as 64 hex digits, of the file `name` in a list as sha256sum writes it, with or
// without
// --tag. nullopt when it is not in it, kCorrupt when it is in it with different digests.
Result<std::optional<std::string>> find_checksum(std::string_view list, std::string_view name);

// What a registry says of an error: code and message of {"errors":[…]}, else empty.
std::string registry_error_text(std::string_view body);

// The pull token of a token server's answer ("token" or "access_token"): printable. kCorrupt.
Result<std::string> parse_token(std::string_view body);

}  // namespace cocoon::image
