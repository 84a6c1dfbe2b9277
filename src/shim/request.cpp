// SPDX-License-Identifier: Apache-2.0
#include "shim/request.h"

#include "shim/text.h"

namespace cocoon::shim {

std::optional<Request> parse_request(std::string_view packet) {
  if (packet == "status") return Request::kStatus;
  if (packet == "console read") return Request::kConsoleRead;
  if (packet == "console write") return Request::kConsoleWrite;
  if (packet == "console steal") return Request::kConsoleSteal;
  return std::nullopt;
}

std::optional<WindowSize> parse_window_size(std::string_view text) {
  WindowSize size;
  if (!parse_number(take_until(text, ' '), size.rows)) return std::nullopt;
  if (!parse_number(text, size.columns)) return std::nullopt;
  if (size.rows == 0 || size.columns == 0) return std::nullopt;
  return size;
}

}  // namespace cocoon::shim
