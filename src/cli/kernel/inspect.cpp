// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/kernel/kernel.h"
#include "engine/kernel_list.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const std::string& name) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  if (ports == nullptr || name.empty()) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kKernelNotFound, name);
  }
  model::KernelName kernel = COCOON_TRY(engine::inspect_kernel(*ports, name));
  app.output().print(render_json(model::to_public_json(kernel)));
  return 0;
}

}  // namespace

Command kernel_inspect_command() {
  auto format = std::make_shared<std::string>("json");
  Command command;
  command.path = "kernel inspect";
  command.usage = "NAME";
  command.summary = "Show everything about a kernel as JSON";
  command.flags = {json_only_flag(format.get())};
  command.min_names = command.max_names = 1;
  command.names = Names::kKernel;
  command.run = [format](App& app, const Arguments& arguments) {
    return run(app, arguments.names[0]);
  };
  return command;
}

}  // namespace cocoon::cli
