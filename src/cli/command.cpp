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
  auto space = path.rfind(' ');
  return space == std::string::npos ? std::string_view() : std::string_view(path).substr(0, space);
}

std::string_view Command::verb() const {
  auto space = path.rfind(' ');
  return std::string_view(path).substr(space == std::string::npos ? 0 : space + 1);
}

std::string_view word_below(std::string_view path, std::string_view group) {
  if (!group.empty()) {
    if (!path.starts_with(group) || path.size() <= group.size() || path[group.size()] != ' ') {
      return {};
    }
    path.remove_prefix(group.size() + 1);
  }
  return path.find(' ') == std::string_view::npos ? path : std::string_view();
}

}  // namespace cocoon::cli
