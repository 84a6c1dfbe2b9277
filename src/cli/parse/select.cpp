// SPDX-License-Identifier: Apache-2.0
#include "cli/parse/select.h"

#include <algorithm>

#include "cli/parse/suggest.h"

namespace cocoon::cli {
namespace {

// Takes one of the command's words. False when it names nothing.
bool take_word(const Program& program, const std::string& word, Selection& selection) {
  if (const Group* group = find_group(program, selection.group, word)) {
    selection.group = group->name;
    return true;
  }
  selection.command = find_command(program, selection.group, word);
  return selection.command != nullptr;
}

}  // namespace

const Group* find_group(const Program& program, std::string_view group, std::string_view word) {
  for (const Group& inner : program.groups) {
    if (!word.empty() && word_below(inner.name, group) == word) return &inner;
  }
  return nullptr;
}

const Command* find_command(const Program& program, std::string_view group, std::string_view word) {
  for (const Command& command : program.commands) {
    if (command.group() != group) continue;
    const auto& aliases = command.aliases;
    bool alias = std::find(aliases.begin(), aliases.end(), word) != aliases.end();
    if (command.verb() == word || alias) return &command;
  }
  return nullptr;
}

std::vector<std::string> near_commands(const Program& program, std::string_view group,
                                       std::string_view word) {
  std::vector<std::string> known;
  for (const Group& inner : program.groups) {
    std::string_view next = word_below(inner.name, group);
    if (!next.empty()) known.emplace_back(next);
  }
  for (const Command& command : program.commands) {
    if (command.group() == group && !command.hidden) known.emplace_back(command.verb());
  }
  return near_words(word, known);
}

Result<Selection> select_command(const Program& program, const FlagSet& globals,
                                 const std::vector<std::string>& arguments) {
  Selection selection;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    bool flag = looks_like_flag(argument);
    // The first other thing that is not a word of the command starts its own arguments.
    if (selection.command != nullptr || argument == "--") {
      selection.rest.insert(selection.rest.end(), arguments.begin() + static_cast<long>(i),
                            arguments.end());
      return selection;
    }
    if (!flag) {
      if (!take_word(program, argument, selection)) {
        selection.unknown = argument;
        return selection;
      }
      continue;
    }
    FlagArgument read = COCOON_TRY(globals.read(argument));
    selection.rest.push_back(argument);
    if (read.wants_next && i + 1 < arguments.size()) selection.rest.push_back(arguments[++i]);
  }
  return selection;
}

}  // namespace cocoon::cli
