// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/escape.h"

namespace cocoon::cli {
namespace {

constexpr char kDetach = '.';

// The control character of "^X"; 0 for none.
char control_of(char letter) {
  if (letter >= '@' && letter <= '_') return static_cast<char>(letter - 0x40);
  if (letter >= 'a' && letter <= 'z') return static_cast<char>(letter - 0x60);
  return 0;
}

}  // namespace

Result<char> parse_escape_char(std::string_view text) {
  auto refuse = [text] {
    return fail(ErrorKind::kInvalid,
                "invalid value \"{}\" for --escape-char: wanted ^X or one ASCII character", text);
  };
  char escape = 0;
  if (text.size() == 2 && text[0] == '^') {
    escape = control_of(text[1]);
  } else if (text.size() == 1 && text[0] != '^') {
    escape = text[0];
  }
  // NUL, and what a terminal sends for Enter and Backspace, can be no escape character.
  auto byte = static_cast<unsigned char>(escape);
  if (byte == 0 || byte == '\r' || byte == '\n' || byte >= 0x7f) return refuse();
  return escape;
}

std::string show_escape_char(char escape) {
  if (escape >= 0x20) return {escape};
  return {'^', static_cast<char>(escape + 0x40)};
}

EscapeScanner::Scanned EscapeScanner::scan(std::string_view typed) {
  Scanned out;
  for (char c : typed) {
    if (!pending_) {
      pending_ = c == escape_;
      if (!pending_) out.forward += c;
      continue;
    }
    pending_ = false;
    if (c == kDetach) {
      out.detach = true;
      return out;
    }
    out.forward += escape_;
    out.forward += c;
  }
  return out;
}

}  // namespace cocoon::cli
