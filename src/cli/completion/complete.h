// SPDX-License-Identifier: Apache-2.0
// `cocoon __complete WORD...`: what the shells' completion scripts ask. The last word is the one
// being typed, possibly empty.
//
// The answer is one candidate a line, `value TAB help`, then one line that starts with ':':
// ":none", or ":files" or ":dirs" when names of files or directories fit as well.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/config/settings.h"
#include "cli/output.h"

namespace cocoon::cli {

inline constexpr std::string_view kCompleteWord = "__complete";

struct Candidate {
  std::string value;
  std::string help;
};

struct Completion {
  std::vector<Candidate> candidates;
  bool files = false;
  bool dirs = false;
};

// Gives the names of what exists now: VMs, images, kernels. The flags are the global ones on the
// line, since --root-dir decides whose names these are.
using NameSource = std::function<std::vector<Candidate>(Names, const GlobalFlags&)>;

Completion complete(const Program& program, const std::vector<std::string>& words,
                    const NameSource& names);

// Names from the store, without reconciling and without an error: none when it cannot be read.
std::vector<Candidate> stored_names(Names names, const GlobalFlags& flags);

// Prints the answer; always 0, since a shell has no use for an error here.
int run_complete(const Program& program, const std::vector<std::string>& words, Output& output);

}  // namespace cocoon::cli
