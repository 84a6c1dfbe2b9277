// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/kernel/kernel.h"
#include "engine/kernel_list.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const std::string& format, const std::string& name) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  if (ports == nullptr || name.empty()) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kKernelNotFound, name);
  }
  COCOON_TRY(engine::set_default_kernel(*ports, name));
  if (!wants_json(format)) {
    app.output().line(name);
    return 0;
  }
  model::KernelName kernel = COCOON_TRY(engine::inspect_kernel(*ports, name));
  app.output().print(render_json(model::to_public_json(kernel)));
  return 0;
}

}  // namespace

Command kernel_default_command() {
  auto format = std::make_shared<std::string>();
  Command command;
  command.path = "kernel default";
  command.usage = "NAME";
  command.summary = "Choose the kernel for images without one";
  command.flags = {output_flag(format.get())};
  command.min_names = command.max_names = 1;
  command.names = Names::kKernel;
  command.run = [format](App& app, const Arguments& arguments) {
    return run(app, *format, arguments.names[0]);
  };
  return command;
}

}  // namespace cocoon::cli
