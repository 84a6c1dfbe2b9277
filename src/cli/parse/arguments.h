// SPDX-License-Identifier: Apache-2.0
// Parses the arguments of a chosen command. The table feeds CLI11; what CLI11 2.1 reads otherwise
// than spec 01 §1 asks for (-o=json, empty values, 0b11, repeated scalars) is rewritten before.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/parse/flag_set.h"

namespace cocoon::cli {

// Sets the flags' targets and returns the positionals. Flags and positionals may interleave; `--`
// ends flags. kInvalid names the flag and its value.
Result<Arguments> parse_arguments(const Command& command, const FlagSet& flags,
                                  const std::vector<std::string>& arguments);

// kInvalid when the number of positionals is not what the command takes.
Result<void> check_arity(const Command& command, const Arguments& arguments);

// True when --help or -h stands where a flag does: help is shown then, whatever else is wrong.
bool asks_for_help(const FlagSet& flags, const std::vector<std::string>& arguments);

// The spellings of a boolean value: 1, t, T, TRUE, true, True, 0, f, F, FALSE, false, False.
std::optional<bool> parse_bool(std::string_view text);

// Sets the target of a flag from the texts of its occurrences, in order; at least one. kInvalid.
Result<void> set_flag(const Flag& flag, const std::vector<std::string>& values);

}  // namespace cocoon::cli
