// SPDX-License-Identifier: Apache-2.0
// Help texts, made from the command table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace cocoon::cli {

// Of one command, with the flags it shares with all others.
std::string command_help(const Command& command, const std::vector<Flag>& globals);

// Of a group ("vm"), or of the whole program for the empty one.
std::string group_help(const Program& program, std::string_view group,
                       const std::vector<Flag>& globals);

}  // namespace cocoon::cli
