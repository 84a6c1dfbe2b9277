// SPDX-License-Identifier: Apache-2.0
#include "cli/parse/flag_set.h"

#include <algorithm>

#include "cli/parse/suggest.h"

namespace cocoon::cli {

bool looks_like_flag(std::string_view argument) {
  return argument.size() > 1 && argument[0] == '-' && argument != "--";
}

void FlagSet::add(const std::vector<Flag>& flags) {
  for (const Flag& flag : flags) flags_.push_back(&flag);
}

const Flag* FlagSet::find_long(std::string_view name) const {
  if (name.empty()) return nullptr;
  for (const Flag* flag : flags_) {
    if (flag->name == name) return flag;
    if (std::find(flag->aliases.begin(), flag->aliases.end(), name) != flag->aliases.end()) {
      return flag;
    }
  }
  return nullptr;
}

const Flag* FlagSet::find_short(char name) const {
  auto at = std::find_if(flags_.begin(), flags_.end(),
                         [name](const Flag* flag) { return flag->short_name == name; });
  return at == flags_.end() || name == 0 ? nullptr : *at;
}

Result<FlagArgument> FlagSet::read(std::string_view argument) const {
  return argument.substr(0, 2) == "--" ? read_long(argument) : read_short(argument);
}

Result<FlagArgument> FlagSet::read_long(std::string_view argument) const {
  std::string_view name = argument.substr(2);
  std::optional<std::string> value;
  if (auto equals = name.find('='); equals != std::string_view::npos) {
    value = std::string(name.substr(equals + 1));
    name = name.substr(0, equals);
  }
  if (name.empty() || name[0] == '-') {
    return fail(ErrorKind::kInvalid, "bad flag syntax: {}", argument);
  }
  const Flag* flag = find_long(name);
  if (flag == nullptr) {
    std::vector<std::string> known;
    for (const Flag* other : flags_) known.push_back(other->name);
    auto near = near_words(name, known);
    return fail(ErrorKind::kInvalid, "unknown flag: --{}{}", name,
                near.empty() ? "" : fmt::format(" (did you mean --{}?)", near.front()));
  }
  bool wants_next = flag->needs_value() && !value;
  return FlagArgument{{FlagUse{flag, std::move(value)}}, wants_next};
}

Result<FlagArgument> FlagSet::read_short(std::string_view argument) const {
  FlagArgument out;
  std::string_view rest = argument.substr(1);
  while (!rest.empty()) {
    const Flag* flag = find_short(rest[0]);
    if (flag == nullptr) {
      return fail(ErrorKind::kInvalid, "unknown shorthand flag: '{}' in {}", rest[0], argument);
    }
    rest.remove_prefix(1);
    bool by_equals = !rest.empty() && rest[0] == '=';
    if (flag->needs_value() || by_equals) {
      if (by_equals) rest.remove_prefix(1);
      bool none = rest.empty() && !by_equals;
      out.uses.push_back({flag, none ? std::nullopt : std::optional<std::string>(rest)});
      out.wants_next = none;
      return out;
    }
    out.uses.push_back({flag, std::nullopt});
  }
  return out;
}

}  // namespace cocoon::cli
