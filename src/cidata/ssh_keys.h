// SPDX-License-Identifier: Apache-2.0
// Public keys of --ssh-key FILE.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cocoon::cidata {

// True for one line of authorized_keys(5): options, key type, base64 key, comment. Only the shape
// is looked at: a type that begins ssh-, ecdsa- or sk-, followed by text that begins AAAA (the
// length of the type's name, which every key blob starts with).
bool is_public_key(std::string_view line);

// The keys of a file: one per line, blank lines and lines that begin with # left out. kInvalid,
// naming the line by its number and never quoting it, for anything else: the usual mistake is to
// give the private key, which must reach neither the guest nor a log. kInvalid too when no key is
// left.
Result<std::vector<std::string>> parse_ssh_keys(std::string_view text);

}  // namespace cocoon::cidata
