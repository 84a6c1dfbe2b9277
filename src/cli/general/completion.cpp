// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/completion/scripts.h"
#include "cli/general/general.h"

namespace cocoon::cli {

Command completion_command() {
  Command command;
  command.path = "completion";
  command.usage = "bash|zsh|fish";
  command.summary = "Print the completion script for a shell";
  command.details =
      "bash:  cocoon completion bash > /etc/bash_completion.d/cocoon\n"
      "zsh:   cocoon completion zsh > \"${fpath[1]}/_cocoon\"\n"
      "fish:  cocoon completion fish > ~/.config/fish/completions/cocoon.fish";
  command.min_names = command.max_names = 1;
  command.names = Names::kShell;
  command.run = [](App& app, const Arguments& arguments) -> Result<int> {
    auto script = completion_script(arguments.names[0]);
    if (!script) {
      return fail(ErrorKind::kInvalid, "unknown shell \"{}\": wanted bash, zsh or fish",
                  arguments.names[0]);
    }
    app.output().print(*script);
    return 0;
  };
  return command;
}

}  // namespace cocoon::cli
