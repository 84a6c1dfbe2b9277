// SPDX-License-Identifier: Apache-2.0
// --checksum: what a file from a web server must be.
#pragma once

#include <string>

#include "base/error.h"
#include "image/acquire/remote/web_client.h"

namespace cocoon::image {

// The SHA-256, as hex digits, that `wanted` says of the file at `url`: "sha256:…", or the URL of a
// list as sha256sum writes it, which is fetched. kInvalid for another form, kNotFound when the file
// is not in the list.
Result<std::string> resolve_checksum(WebClient& web, const std::string& wanted,
                                     const std::string& url);

// Is it one of the two forms? kInvalid.
Result<void> check_checksum(const std::string& wanted);

// "sha256:…" → its digits; empty for anything else.
std::string checksum_digits(const std::string& wanted);

}  // namespace cocoon::image
