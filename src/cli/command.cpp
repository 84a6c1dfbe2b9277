// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

namespace cocoon::cli {

std::string Flag::display() const {
  return name.empty() ? std::string("-") + short_name : "--" + name;
}

bool Flag::needs_value() const {
  return !std::holds_alternative<bool*>(target) && !std::holds_alternative<OptionalValue*>(target);
}

std::string_view Command::group() const {
  auto space = path.find(' ');
  return space == std::string::npos ? std::string_view() : std::string_view(path).substr(0, space);
}

std::string_view Command::verb() const {
  auto space = path.find(' ');
  return std::string_view(path).substr(space == std::string::npos ? 0 : space + 1);
}

}  // namespace cocoon::cli
