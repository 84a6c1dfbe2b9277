// SPDX-License-Identifier: Apache-2.0
// The frame around every command: choose, parse, check, load the settings, run, print the error,
// pick the exit code.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/config/settings.h"
#include "cli/output.h"

namespace cocoon::cli {

// Runs one command line (without argv[0]) and returns the exit code.
int run_command_line(const Program& program, const std::vector<std::string>& arguments,
                     Output& output);

// main() of both programs: signals, locale and the standard descriptors, then the command line.
int run_main(const Program& program, int argc, char** argv);

}  // namespace cocoon::cli
