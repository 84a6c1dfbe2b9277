// SPDX-License-Identifier: Apache-2.0
#include "cidata/yaml_scalar.h"

#include "cidata/utf8.h"

namespace cocoon::cidata {
namespace {

void append_escaped(std::string& out, char32_t character) {
  auto code = static_cast<std::uint32_t>(character);
  if (code == '"' || code == '\\') {
    out += '\\';
    out += static_cast<char>(code);
  } else if (code >= 0x20 && code < 0x7f) {
    out += static_cast<char>(code);
  } else if (code == '\n') {
    out += "\\n";
  } else if (code == '\t') {
    out += "\\t";
  } else if (code <= 0xff) {
    out += fmt::format("\\x{:02x}", code);
  } else if (code <= 0xffff) {
    out += fmt::format("\\u{:04x}", code);
  } else {
    out += fmt::format("\\U{:08x}", code);
  }
}

}  // namespace

Result<std::string> yaml_quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    auto character = take_character(text);
    if (!character) return fail(ErrorKind::kInvalid, "not UTF-8 text");
    if (*character == 0) return fail(ErrorKind::kInvalid, "holds a NUL byte");
    append_escaped(out, *character);
  }
  return out + '"';
}

}  // namespace cocoon::cidata
