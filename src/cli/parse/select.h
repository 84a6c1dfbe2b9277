// SPDX-License-Identifier: Apache-2.0
// Finds the command that an argument list names. Global flags may stand before and between its
// words.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/parse/flag_set.h"

namespace cocoon::cli {

struct Selection {
  const Command* command = nullptr;  // null: only a group was named, or nothing at all
  std::string group;                 // "", "vm", "vm disk"
  std::string unknown;               // a word that is no command of the group
  std::vector<std::string> rest;     // the arguments without the command's words
};

// kInvalid for a flag that is unknown where it stands: before the command only global ones are.
Result<Selection> select_command(const Program& program, const FlagSet& globals,
                                 const std::vector<std::string>& arguments);

// The group inside `group` (empty: of all) that this word names; null when there is none.
const Group* find_group(const Program& program, std::string_view group, std::string_view word);

// The command of a group whose verb or alias this is; null when there is none.
const Command* find_command(const Program& program, std::string_view group, std::string_view word);

// Verbs of a group, and words of the groups in it, that `word` may have been meant as.
std::vector<std::string> near_commands(const Program& program, std::string_view group,
                                       std::string_view word);

}  // namespace cocoon::cli
