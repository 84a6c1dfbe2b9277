// SPDX-License-Identifier: Apache-2.0
#include "cli/frame.h"

#include <fcntl.h>
#include <unistd.h>

#include <clocale>

#include "cli/app.h"
#include "cli/cocoon_image.h"
#include "cli/completion/complete.h"
#include "cli/exit_code.h"
#include "cli/help.h"
#include "cli/parse/arguments.h"
#include "cli/parse/select.h"
#include "sys/cancel.h"

namespace cocoon::cli {
namespace {

std::string path_text(const std::string& group) {
  return group.empty() ? "cocoon" : "cocoon " + group;
}

// The one place where a word that is no command is answered.
int report_unknown(const Program& program, const Selection& selection, Output& output) {
  std::string path = path_text(selection.group);
  output.remark(fmt::format("Error: unknown command \"{}\" for \"{}\"", selection.unknown, path));
  auto near = near_commands(program, selection.group, selection.unknown);
  if (!near.empty()) output.raw_remark("\nDid you mean this?\n");
  for (const std::string& word : near) output.remark("  " + path + " " + word);
  output.raw_remark(fmt::format("\nRun '{} --help' for usage.\n", path));
  return exit_code(ErrorKind::kInvalid);
}

// `help vm stop`: the same text as `vm stop --help`.
int show_help_of(const Program& program, const std::vector<std::string>& words,
                 const std::vector<Flag>& globals, Output& output) {
  FlagSet none;
  auto selection = select_command(program, none, words);
  if (!selection) {
    output.error(selection.error());
    return exit_code(selection.error().kind);
  }
  if (!selection->unknown.empty()) return report_unknown(program, *selection, output);
  output.print(selection->command != nullptr ? command_help(*selection->command, globals)
                                             : group_help(program, selection->group, globals));
  return 0;
}

// From here on the command is known and its arguments are good.
Result<int> run_command(const Program& program, const Command& command, const Arguments& arguments,
                        const GlobalFlags& flags, const std::vector<std::string>& words,
                        Output& output) {
  Settings settings =
      COCOON_TRY(load_settings(flags, process_environment(), std::filesystem::path(kConfigDir)));
  if (command.in_helper && !program.is_helper) return exec_cocoon_image(words);
  if (program.is_helper) COCOON_TRY(check_caller_build());
  if (!command.run) {
    return fail(ErrorKind::kInternal, "\"{}\" is not a command of this program", command.path);
  }
  apply_log_settings(settings);
  App app(program, std::move(settings), words, output);
  auto result = command.run(app, arguments);
  if (result || command.failure_code == 0) return result;
  if (result.error().kind == ErrorKind::kInterrupted) return result;
  if (!output.reader_gone()) output.error(result.error());
  return command.failure_code;
}

Result<int> dispatch(const Program& program, const std::vector<std::string>& words,
                     Output& output) {
  GlobalFlags flags;
  const std::vector<Flag> globals = global_flag_table(flags);
  FlagSet known;
  known.add(globals);
  Selection selection = COCOON_TRY(select_command(program, known, words));
  if (!selection.unknown.empty()) return report_unknown(program, selection, output);
  if (selection.command == nullptr) {
    output.print(group_help(program, selection.group, globals));
    return 0;
  }
  const Command& command = *selection.command;
  known.add(command.flags);
  if (asks_for_help(known, selection.rest)) {
    output.print(command_help(command, globals));
    return 0;
  }
  Arguments arguments = COCOON_TRY(parse_arguments(command, known, selection.rest));
  COCOON_TRY(check_arity(command, arguments));
  if (command.check) COCOON_TRY(command.check());
  if (command.path == "help") return show_help_of(program, arguments.names, globals, output);
  return run_command(program, command, arguments, flags, words, output);
}

// A daemon's child may come without them; then the store must not get descriptor 1.
void ensure_standard_descriptors() {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd <= 2);
  if (fd > 2) close(fd);
}

}  // namespace

int run_command_line(const Program& program, const std::vector<std::string>& arguments,
                     Output& output) {
  if (!arguments.empty() && arguments[0] == kCompleteWord) {
    return run_complete(program, {arguments.begin() + 1, arguments.end()}, output);
  }
  auto result = dispatch(program, arguments, output);
  if (result) {
    auto flushed = output.flush();
    if (!flushed) result = pass(std::move(flushed).error());
  }
  if (result) return *result;
  // The reader of a pipe that has seen enough is no news: `cocoon vm list | head -1`.
  if (!output.reader_gone()) output.error(result.error());
  return exit_code(result.error().kind);
}

int run_main(const Program& program, int argc, char** argv) {
  ensure_standard_descriptors();
  // For file names in archives; cocoon itself needs none and saves the time.
  if (program.is_helper) std::setlocale(LC_CTYPE, "C.UTF-8");
  Output output(STDOUT_FILENO, STDERR_FILENO);
  if (auto installed = sys::install_cancel_signals(); !installed) {
    output.error(installed.error());
    return 1;
  }
  // argc may be 0: nothing but manners makes callers pass a name.
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  return run_command_line(program, arguments, output);
}

}  // namespace cocoon::cli
