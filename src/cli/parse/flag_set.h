// SPDX-License-Identifier: Apache-2.0
// How single arguments read as flags (spec 01 §1): --flag value, --flag=value, -f value, -fvalue,
// -f=value, -abc for booleans; booleans and optional values take one by '=' only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace cocoon::cli {

// One use of a flag; no value: none was given in the same argument.
struct FlagUse {
  const Flag* flag = nullptr;
  std::optional<std::string> value;
};

// An argument that starts with a dash. Only the last use may lack a value that it needs: the next
// argument is it then.
struct FlagArgument {
  std::vector<FlagUse> uses;
  bool wants_next = false;
};

// The flags that are known at one place. Borrows them.
class FlagSet {
 public:
  void add(const std::vector<Flag>& flags);

  const std::vector<const Flag*>& flags() const { return flags_; }
  const Flag* find_long(std::string_view name) const;
  const Flag* find_short(char name) const;

  // kInvalid for an unknown flag (with a suggestion where one is near) and for bad syntax.
  Result<FlagArgument> read(std::string_view argument) const;

 private:
  Result<FlagArgument> read_long(std::string_view argument) const;
  Result<FlagArgument> read_short(std::string_view argument) const;

  std::vector<const Flag*> flags_;
};

// True for what is read as flags: a dash and at least one more character, but not "--".
bool looks_like_flag(std::string_view argument);

}  // namespace cocoon::cli
