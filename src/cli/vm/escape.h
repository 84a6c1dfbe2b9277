// SPDX-License-Identifier: Apache-2.0
// The escape sequence of `vm console`: the escape character, then '.' (spec 01 §15). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon::cli {

// "^]" (and ^@ … ^_, ^a … ^z without ^@, ^M, ^J) or one plain ASCII character. kInvalid else.
Result<char> parse_escape_char(std::string_view text);

// How the character is shown: "^]", or itself.
std::string show_escape_char(char escape);

// Looks for the sequence in what the user types, across reads. A pending escape character is held
// back; when no '.' follows, both bytes go on and the search starts after them.
class EscapeScanner {
 public:
  explicit EscapeScanner(char escape) : escape_(escape) {}

  struct Scanned {
    std::string forward;
    bool detach = false;  // what follows the sequence is dropped
  };
  Scanned scan(std::string_view typed);

 private:
  char escape_;
  bool pending_ = false;
};

}  // namespace cocoon::cli
