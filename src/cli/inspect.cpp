// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect.h"

#include "cli/json_output.h"

namespace cocoon::cli {

Command inspect_command(const std::string& group, std::string usage, std::string_view what,
                        Names names, Inspect inspect) {
  auto format = std::make_shared<std::string>("json");
  Command command;
  command.path = group + " inspect";
  command.usage = std::move(usage);
  command.summary = fmt::format("Show everything about {} as JSON", what);
  command.flags = {json_only_flag(format.get())};
  command.min_names = command.max_names = 1;
  command.names = names;
  command.run = [format, inspect = std::move(inspect)](App& app,
                                                       const Arguments& arguments) -> Result<int> {
    app.output().print(render_json(COCOON_TRY(inspect(app, arguments.names[0]))));
    return 0;
  };
  return command;
}

}  // namespace cocoon::cli
