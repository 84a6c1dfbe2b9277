// SPDX-License-Identifier: Apache-2.0
#include "cli/parse/arguments.h"

#include <algorithm>
#include <limits>

#include <CLI/CLI.hpp>

#include "base/text.h"

namespace cocoon::cli {
namespace {

constexpr std::string_view kHelp = "help";

template <class... Cases>
struct Overload : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overload(Cases...) -> Overload<Cases...>;

Failure invalid_value(const Flag& flag, std::string_view value, std::string_view wanted) {
  return fail(ErrorKind::kInvalid, "invalid value \"{}\" for {}: {}", value, flag.display(),
              wanted);
}

Result<int> to_int(const Flag& flag, const std::string& value) {
  auto number = parse_integer(value);
  if (!number) return invalid_value(flag, value, "not an integer");
  if (*number < std::numeric_limits<int>::min() || *number > std::numeric_limits<int>::max()) {
    return invalid_value(flag, value, "out of range");
  }
  return static_cast<int>(*number);
}

Result<void> check_choice(const Flag& flag, const std::string& value) {
  const auto& choices = flag.choices;
  // Empty means "as if not given", which scripts pass: --output "$FORMAT".
  if (choices.empty() || value.empty()) return {};
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return {};
  return invalid_value(flag, value, fmt::format("wanted one of {}", fmt::join(choices, ", ")));
}

// The name under which CLI11 knows a flag; aliases are gone by then.
std::string cli11_name(const Flag& flag) {
  return flag.name.empty() ? std::string("-") + flag.short_name : "--" + flag.name;
}

// The uses of one argument in the forms that CLI11 reads as we do. `next` is the value from the
// following argument.
void rewrite(const FlagArgument& read, const std::string* next, std::vector<std::string>& out) {
  for (const FlagUse& use : read.uses) {
    bool last = &use == &read.uses.back();
    if (use.flag->needs_value()) {
      out.push_back(cli11_name(*use.flag));
      out.push_back(last && read.wants_next ? *next : *use.value);
    } else {
      out.push_back(use.value ? cli11_name(*use.flag) + "=" + *use.value : cli11_name(*use.flag));
    }
  }
}

// CLI11 takes "--force=" for "--force"; a value that is not there is an error.
Result<void> check_joined_values(const FlagArgument& read) {
  for (const FlagUse& use : read.uses) {
    if (!use.value || use.flag->needs_value()) continue;
    bool boolean = std::holds_alternative<bool*>(use.flag->target);
    if (boolean && !parse_bool(*use.value)) {
      return invalid_value(*use.flag, *use.value, "wanted true or false");
    }
    if (!boolean && use.value->empty()) return invalid_value(*use.flag, "", "empty");
  }
  return {};
}

// Takes the positionals and what follows `--` out; returns the flags as CLI11 is to see them. (It
// would split a positional "[a,b]" in two.)
Result<std::vector<std::string>> take_flags(const Command& command, const FlagSet& flags,
                                            const std::vector<std::string>& arguments,
                                            Arguments& taken) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      auto& rest = command.takes_command ? taken.command : taken.names;
      rest.insert(rest.end(), arguments.begin() + static_cast<long>(i) + 1, arguments.end());
      return out;
    }
    if (!looks_like_flag(argument)) {
      taken.names.push_back(argument);
      continue;
    }
    FlagArgument read = COCOON_TRY(flags.read(argument));
    COCOON_TRY(check_joined_values(read));
    if (read.wants_next && i + 1 == arguments.size()) {
      return fail(ErrorKind::kInvalid, "flag needs a value: {}", read.uses.back().flag->display());
    }
    rewrite(read, read.wants_next ? &arguments[++i] : nullptr, out);
  }
  return out;
}

// Declares one flag; its results are set by set_flag, so that CLI11 converts nothing.
void declare(CLI::App& app, const Flag& flag, std::optional<Error>& problem) {
  CLI::callback_t set = [&flag, &problem](const CLI::results_t& values) {
    auto result = set_flag(flag, values);
    if (!result && !problem) problem = result.error();
    return true;
  };
  bool list = std::holds_alternative<std::vector<std::string>*>(flag.target);
  CLI::Option* option = app.add_option(cli11_name(flag), set);
  option->expected(flag.needs_value() ? 1 : 0);
  option->multi_option_policy(list ? CLI::MultiOptionPolicy::TakeAll
                                   : CLI::MultiOptionPolicy::TakeLast);
}

}  // namespace

std::optional<bool> parse_bool(std::string_view text) {
  for (std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return true;
  }
  for (std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

Result<void> set_flag(const Flag& flag, const std::vector<std::string>& values) {
  const std::string& last = values.back();
  // "true" is what CLI11 hands over for a bare flag.
  bool bare = std::holds_alternative<OptionalValue*>(flag.target) && last == "true";
  if (!bare) COCOON_TRY(check_choice(flag, last));
  return std::visit(Overload{[&](bool* target) -> Result<void> {
                               auto value = parse_bool(last);
                               if (!value) return invalid_value(flag, last, "wanted true or false");
                               *target = *value;
                               return {};
                             },
                             [&](int* target) -> Result<void> {
                               *target = COCOON_TRY(to_int(flag, last));
                               return {};
                             },
                             [&](std::optional<int>* target) -> Result<void> {
                               *target = COCOON_TRY(to_int(flag, last));
                               return {};
                             },
                             [&](std::string* target) -> Result<void> {
                               *target = last;
                               return {};
                             },
                             [&](std::optional<std::string>* target) -> Result<void> {
                               *target = last;
                               return {};
                             },
                             [&](std::vector<std::string>* target) -> Result<void> {
                               *target = values;
                               return {};
                             },
                             [&](OptionalValue* target) -> Result<void> {
                               *target = {true, bare ? "" : last};
                               return {};
                             }},
                    flag.target);
}

Result<Arguments> parse_arguments(const Command& command, const FlagSet& flags,
                                  const std::vector<std::string>& arguments) {
  Arguments out;
  auto rewritten = COCOON_TRY(take_flags(command, flags, arguments, out));
  std::optional<Error> problem;
  try {
    CLI::App app;
    app.set_help_flag();  // ours is in the table
    for (const Flag* flag : flags.flags()) declare(app, *flag, problem);
    std::reverse(rewritten.begin(), rewritten.end());  // CLI11 takes them from the back
    app.parse(std::move(rewritten));
  } catch (const CLI::Error& error) {
    return fail(ErrorKind::kInvalid, "{}", error.what());
  }
  if (problem) return pass(*std::move(problem));
  return out;
}

Result<void> check_arity(const Command& command, const Arguments& arguments) {
  auto count = static_cast<int>(arguments.names.size());
  if (count < command.min_names) {
    return fail(ErrorKind::kInvalid, "\"cocoon {}\" needs {}", command.path, command.usage);
  }
  if (count > command.max_names) {
    const std::string& extra = arguments.names[static_cast<std::size_t>(command.max_names)];
    return fail(ErrorKind::kInvalid, "unexpected argument \"{}\" for \"cocoon {}\"{}", extra,
                command.path, command.takes_command ? "; put the guest's command after --" : "");
  }
  return {};
}

bool asks_for_help(const FlagSet& flags, const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    if (!looks_like_flag(arguments[i])) continue;
    auto read = flags.read(arguments[i]);
    if (!read) continue;
    for (const FlagUse& use : read->uses) {
      if (use.flag->name == kHelp && (!use.value || parse_bool(*use.value).value_or(false))) {
        return true;
      }
    }
    if (read->wants_next) ++i;
  }
  return false;
}

}  // namespace cocoon::cli
