// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <algorithm>

namespace cocoon::cli {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

// Two columns, indented.
std::string columns(const Rows& rows) {
  std::size_t widest = 0;
  for (const auto& [left, right] : rows) widest = std::max(widest, left.size());
  std::string out;
  for (const auto& [left, right] : rows) {
    out += fmt::format("  {:<{}}{}{}\n", left, right.empty() ? left.size() : widest,
                       right.empty() ? "" : "   ", right);
  }
  return out;
}

// "(default 2)" from what the target holds before the parse.
std::string default_text(const Flag& flag) {
  std::string value;
  if (auto* const* text = std::get_if<std::string*>(&flag.target)) value = **text;
  if (auto* const* number = std::get_if<int*>(&flag.target)) {
    if (**number != 0) value = fmt::format("{}", **number);
  }
  return value.empty() ? "" : fmt::format(" (default {})", value);
}

std::string flag_left(const Flag& flag) {
  std::string left = flag.short_name != 0 ? fmt::format("-{}", flag.short_name) : "  ";
  if (!flag.name.empty()) left += (flag.short_name != 0 ? ", --" : "  --") + flag.name;
  if (std::holds_alternative<OptionalValue*>(flag.target))
    return left + "[=" + flag.value_name + "]";
  if (flag.needs_value()) left += " " + flag.value_name;
  return left;
}

std::string flag_right(const Flag& flag) {
  std::string right = flag.help;
  if (std::holds_alternative<std::vector<std::string>*>(flag.target)) right += "; may be repeated";
  return right + default_text(flag);
}

std::string flag_section(std::string_view title, const std::vector<Flag>& flags) {
  if (flags.empty()) return "";
  Rows rows;
  for (const Flag& flag : flags) rows.emplace_back(flag_left(flag), flag_right(flag));
  return fmt::format("\n{}:\n{}", title, columns(rows));
}

}  // namespace

std::string command_help(const Command& command, const std::vector<Flag>& globals) {
  std::string out = fmt::format("{}\n\nUsage:\n  cocoon {}", command.summary, command.path);
  if (!command.usage.empty()) out += " " + command.usage;
  out += " [flags]";
  if (command.takes_command) out += " [-- CMD [ARG...]]";
  out += "\n";
  if (!command.aliases.empty()) {
    out += fmt::format("\nAliases:\n  {}, {}\n", command.verb(), fmt::join(command.aliases, ", "));
  }
  if (!command.details.empty()) out += "\n" + command.details + "\n";
  out += flag_section("Flags", command.flags);
  out += flag_section("Global flags", globals);
  return out;
}

std::string group_help(const Program& program, std::string_view group,
                       const std::vector<Flag>& globals) {
  Rows rows;
  std::string summary = "cocoon runs microVMs on this host";
  std::string path = "cocoon";
  for (const Group& other : program.groups) {
    if (auto word = word_below(other.name, group); !word.empty()) {
      rows.emplace_back(word, other.summary);
    }
    if (group == other.name) {
      summary = other.summary;
      path += " " + other.name;
    }
  }
  for (const Command& command : program.commands) {
    if (command.group() == group && !command.hidden) {
      rows.emplace_back(command.verb(), command.summary);
    }
  }
  std::string out =
      fmt::format("{}\n\nUsage:\n  {} COMMAND\n\nCommands:\n{}", summary, path, columns(rows));
  out += flag_section("Global flags", globals);
  out += fmt::format("\nUse \"{} COMMAND --help\" for more about a command.\n", path);
  return out;
}

}  // namespace cocoon::cli
