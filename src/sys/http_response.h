// SPDX-License-Identifier: Apache-2.0
// The head of an HTTP/1.1 response, taken apart. The sender may be a VMM that a guest has broken
// into: only the plain form that VMMs send is accepted.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace cocoon::sys {

struct HttpHead {
  int status = 0;
  std::optional<std::uint64_t> content_length;
  bool keep_alive = true;
  bool operator==(const HttpHead&) const = default;
};

// `text`: from the status line to the empty line, which is included. The reason phrase may be
// missing, with or without the blank before it. kCorrupt: no HTTP/1.x head, two different lengths,
// a transfer encoding, control characters.
Result<HttpHead> parse_http_head(std::string_view text);

}  // namespace cocoon::sys
