// SPDX-License-Identifier: Apache-2.0
// A command of the command line as data. One explicit list (commands.h) feeds the parser, --help,
// completion and the suggestions for mistyped words.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace cocoon::cli {

class App;

// What a positional or a flag's value names: drives completion.
enum class Names { kNothing, kVm, kImage, kKernel, kSnapshot, kFile, kDirectory, kCommand, kShell };

// The value of a flag that may stand alone: --pull, --pull=always.
struct OptionalValue {
  bool given = false;
  std::string value;
};

// Where a flag's value goes; its type is the flag's type. The target holds the default and outlives
// the parse. A vector takes every occurrence, everything else the last one.
using Target = std::variant<bool*, int*, std::optional<int>*, std::string*,
                            std::optional<std::string>*, std::vector<std::string>*, OptionalValue*>;

struct Flag {
  std::string name;  // long form without dashes; may be empty when there is a short one
  char short_name = 0;
  Target target;
  std::string help;
  std::string value_name = {};            // "SIZE" in --memory SIZE; not for booleans
  std::vector<std::string> choices = {};  // the only values (besides an empty one)
  Names completes = Names::kNothing;      // what the value names
  std::vector<std::string> aliases = {};  // further long forms, understood but not shown

  // "--name", or "-n" for a flag without a long form: how messages call it.
  std::string display() const;
  // False for booleans and optional values: they take one by '=' only.
  bool needs_value() const;
};

struct Arguments {
  std::vector<std::string> names;    // positionals
  std::vector<std::string> command;  // what follows `--`, for commands that take one
};

inline constexpr int kAnyNumber = 1 << 20;

struct Command {
  std::string path;        // "vm stop": group and verb, or one word
  std::string usage = {};  // positionals as shown: "VM [VM...]"
  std::string summary;
  std::string details = {};               // more help text, lines of at most 100 columns
  std::vector<std::string> aliases = {};  // other words for the verb: "ls"
  std::vector<Flag> flags = {};
  int min_names = 0;
  int max_names = 0;
  bool takes_command = false;  // -- CMD [ARG...]
  Names names = Names::kNothing;
  bool in_helper = false;  // the body is in cocoon-image (design decision 9)
  bool hidden = false;
  // The exit code of every failure of ours but an interruption, where 1 to 124 are the guest
  // program's (design §11); 0: the code says what kind of failure it was.
  int failure_code = 0;
  std::shared_ptr<void> targets = {};  // what `flags` point to, where `run` does not hold it
  // A rule of its own about the flags, asked after the parse; may be empty.
  std::function<Result<void>()> check = {};
  // The body; returns the exit code of a success. Empty where the helper has it.
  std::function<Result<int>(App&, const Arguments&)> run;

  // "vm" of "vm stop", "vm disk" of "vm disk list", empty for "gc"; and the word after it.
  std::string_view group() const;
  std::string_view verb() const;
};

struct Group {
  std::string name;  // "vm"; one inside another: "vm disk"
  std::string summary;
};

// The word by which a path is reached from a group: "disk" for "vm disk" from "vm", "vm" for "vm"
// from "". Empty when it is not one word further.
std::string_view word_below(std::string_view path, std::string_view group);

// What is running: cocoon or its helper.
struct Program {
  bool is_helper = false;
  std::vector<Group> groups;
  std::vector<Command> commands;
};

// A command whose body is cocoon-image's (design decision 9): cocoon passes an empty one and starts
// the helper. `flags` is where the command's flags go, and lives as long as the command.
template <class Flags>
void set_helper_body(Command& command, std::shared_ptr<Flags> flags,
                     const std::function<Result<int>(App&, const Flags&, const Arguments&)>& body) {
  command.in_helper = true;
  command.targets = flags;
  if (!body) return;
  command.run = [flags, body](App& app, const Arguments& arguments) {
    return body(app, *flags, arguments);
  };
}

}  // namespace cocoon::cli
