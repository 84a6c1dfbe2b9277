// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace cocoon::shim {

// The first packet of a client of shim.sock. ASCII, exactly one of the texts in request.cpp.
enum class Request { kStatus, kConsoleRead, kConsoleWrite, kConsoleSteal };
std::optional<Request> parse_request(std::string_view packet);

struct WindowSize {
  unsigned short rows = 0;
  unsigned short columns = 0;
};

// "<rows> <cols>", the rest of a `w` packet: decimal, 1..65535 each.
std::optional<WindowSize> parse_window_size(std::string_view text);

}  // namespace cocoon::shim
