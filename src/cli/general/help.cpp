// SPDX-License-Identifier: Apache-2.0
#include "cli/general/general.h"

namespace cocoon::cli {

Command help_command() {
  Command command;
  command.path = "help";
  command.usage = "[COMMAND...]";
  command.summary = "Show help about a command";
  command.max_names = kAnyNumber;
  command.names = Names::kCommand;
  // The frame answers it: help needs the whole table and no settings.
  command.run = [](App&, const Arguments&) -> Result<int> { return 0; };
  return command;
}

}  // namespace cocoon::cli
