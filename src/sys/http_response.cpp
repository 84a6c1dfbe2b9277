// SPDX-License-Identifier: Apache-2.0
#include "sys/http_response.h"

#include <algorithm>

#include "base/text.h"

namespace cocoon::sys {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

Failure no_http(std::string_view what) {
  return fail(ErrorKind::kCorrupt, "the other side does not speak HTTP: {}", what);
}

bool has_controls(std::string_view line) {
  auto is_control = [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  };
  return std::any_of(line.begin(), line.end(), is_control);
}

// "HTTP/1.1 204", "HTTP/1.1 204 ", "HTTP/1.0 204 No Content".
Result<int> parse_status_line(std::string_view line) {
  constexpr std::string_view kLead = "HTTP/1.";
  constexpr std::size_t kVersion = kLead.size() + 2;  // a digit and a blank
  constexpr std::size_t kDigits = 3;
  if (!line.starts_with(kLead) || line.size() < kVersion + kDigits) return no_http("status line");
  if ((line[kLead.size()] != '0' && line[kLead.size()] != '1') || line[kVersion - 1] != ' ') {
    return no_http("version");
  }
  if (line.size() > kVersion + kDigits && line[kVersion + kDigits] != ' ') {
    return no_http("status line");
  }
  auto number = parse_decimal(line.substr(kVersion, kDigits));
  if (!number || *number < 100 || *number > 599) return no_http("status code");
  return static_cast<int>(*number);
}

Result<void> take_field(HttpHead& head, std::string_view line) {
  auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return no_http("header field");
  std::string name = to_lower(line.substr(0, colon));
  std::string_view value = trim(line.substr(colon + 1));
  if (name == "content-length") {
    auto length = parse_decimal(value);
    if (!length || head.content_length.value_or(*length) != *length) return no_http("length");
    head.content_length = length;
  }
  if (name == "transfer-encoding") return no_http("a transfer encoding");
  if (name == "connection" && to_lower(value) == "close") head.keep_alive = false;
  return {};
}

}  // namespace

Result<HttpHead> parse_http_head(std::string_view text) {
  HttpHead head;
  bool first = true;
  while (true) {
    auto end = text.find(kLineEnd);
    if (end == std::string_view::npos) return no_http("no end of the head");
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + kLineEnd.size());
    if (has_controls(line)) return no_http("control characters");
    if (first) {
      head.status = COCOON_TRY(parse_status_line(line));
      first = false;
    } else if (line.empty()) {
      break;
    } else {
      COCOON_TRY(take_field(head, line));
    }
  }
  if (!text.empty()) return no_http("bytes after the head");
  return head;
}

}  // namespace cocoon::sys
