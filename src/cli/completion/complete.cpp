// SPDX-License-Identifier: Apache-2.0
#include "cli/completion/complete.h"

#include <algorithm>

#include "cli/parse/arguments.h"
#include "cli/parse/flag_set.h"
#include "cli/parse/select.h"

namespace cocoon::cli {
namespace {

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// Where the cursor is, after the finished words.
struct Place {
  const Command* command = nullptr;
  std::string group;
  bool lost = false;              // a finished word is no command: nothing can follow
  const Flag* pending = nullptr;  // its value is being typed
  bool after_dashes = false;
  int names = 0;  // positionals so far
};

class Completer {
 public:
  Completer(const Program& program, const NameSource& names) : program_(program), names_(names) {
    globals_ = global_flag_table(flags_);
    known_.add(globals_);
  }

  Completion run(const std::vector<std::string>& words) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i) step(words[i]);
    typed_ = words.empty() ? "" : words.back();
    add_candidates();
    std::sort(out_.candidates.begin(), out_.candidates.end(),
              [](const Candidate& a, const Candidate& b) { return a.value < b.value; });
    return std::move(out_);
  }

 private:
  void step(const std::string& word) {
    if (place_.pending != nullptr) {
      // Only the global flags matter here (--root-dir); a bad value is not our business.
      ignore(set_flag(*place_.pending, {word}), "completion");
      place_.pending = nullptr;
    } else if (place_.after_dashes) {
      ++place_.names;
    } else if (word == "--") {
      place_.after_dashes = true;
    } else if (looks_like_flag(word)) {
      step_flag(word);
    } else {
      step_word(word);
    }
  }

  void step_flag(const std::string& word) {
    auto read = known_.read(word);
    if (!read) return;
    const FlagUse& last = read->uses.back();
    if (last.value) ignore(set_flag(*last.flag, {*last.value}), "completion");
    if (read->wants_next) place_.pending = last.flag;
  }

  void step_word(const std::string& word) {
    if (place_.command != nullptr) {
      ++place_.names;
      return;
    }
    if (const Group* group = find_group(program_, place_.group, word)) {
      place_.group = group->name;
      return;
    }
    place_.command = find_command(program_, place_.group, word);
    place_.lost = place_.command == nullptr;
    if (place_.command != nullptr) known_.add(place_.command->flags);
  }

  void add_candidates() {
    if (place_.lost) return;
    if (place_.pending != nullptr) return add_values(*place_.pending, "");
    if (place_.after_dashes && place_.command != nullptr && place_.command->takes_command) return;
    if (!place_.after_dashes && starts_with(typed_, "-")) return add_flags();
    if (place_.command == nullptr) return add_words(place_.group);
    if (place_.names < place_.command->max_names) add_names(place_.command->names, "");
  }

  // Flags, or after --flag= its values.
  void add_flags() {
    auto equals = typed_.find('=');
    if (starts_with(typed_, "--") && equals != std::string::npos) {
      const Flag* flag = known_.find_long(std::string_view(typed_).substr(2, equals - 2));
      if (flag == nullptr) return;
      std::string before = typed_.substr(0, equals + 1);
      return add_values(*flag, before);
    }
    for (const Flag* flag : known_.flags()) add(flag->display(), flag->help);
  }

  void add_values(const Flag& flag, const std::string& before) {
    for (const std::string& choice : flag.choices) add(before + choice, "");
    add_names(flag.completes, before);
  }

  void add_words(const std::string& group) {
    for (const Group& inner : program_.groups) {
      std::string_view word = word_below(inner.name, group);
      if (!word.empty()) add(std::string(word), inner.summary);
    }
    for (const Command& command : program_.commands) {
      if (command.group() == group && !command.hidden) {
        add(std::string(command.verb()), command.summary);
      }
    }
  }

  void add_names(Names kind, const std::string& before) {
    if (kind == Names::kFile) out_.files = true;
    if (kind == Names::kDirectory) out_.dirs = true;
    if (kind == Names::kCommand) add_words("");
    if (kind == Names::kShell) {
      for (const char* shell : {"bash", "fish", "zsh"}) add(shell, "");
    }
    bool stored = kind == Names::kVm || kind == Names::kImage || kind == Names::kKernel ||
                  kind == Names::kSnapshot;
    if (!stored) return;
    for (Candidate& name : names_(kind, flags_)) add(before + name.value, name.help);
  }

  void add(std::string value, std::string help) {
    if (starts_with(value, typed_)) out_.candidates.push_back({std::move(value), std::move(help)});
  }

  const Program& program_;
  const NameSource& names_;
  GlobalFlags flags_;
  std::vector<Flag> globals_;
  FlagSet known_;
  Place place_;
  std::string typed_;
  Completion out_;
};

}  // namespace

Completion complete(const Program& program, const std::vector<std::string>& words,
                    const NameSource& names) {
  return Completer(program, names).run(words);
}

int run_complete(const Program& program, const std::vector<std::string>& words, Output& output) {
  Completion answer = complete(program, words, stored_names);
  for (const Candidate& candidate : answer.candidates) {
    output.line(candidate.help.empty() ? candidate.value : candidate.value + "\t" + candidate.help);
  }
  output.line(answer.files ? ":files" : answer.dirs ? ":dirs" : ":none");
  ignore(output.flush(), "completion");
  return 0;
}

}  // namespace cocoon::cli
