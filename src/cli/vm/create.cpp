// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/pull_on_demand.h"
#include "cli/vm/create_flags.h"
#include "cli/vm/vm.h"
#include "engine/vm_view.h"

namespace cocoon::cli {
namespace {

struct VmCreate {
  CreateFlags create;
  OptionalValue pull;
  std::string format;
};

Result<int> run(App& app, const VmCreate& flags, const Arguments& arguments) {
  engine::CreateRequest request = COCOON_TRY(make_request(flags.create, arguments));
  engine::Ports* ports = COCOON_TRY(app.ports());
  COCOON_TRY(ensure_image(app, request.image, pull_policy(flags.pull, PullPolicy::kNever)));
  model::Vm vm =
      COCOON_TRY(engine::create_vm(*ports, request), "create a vm from \"{}\"", request.image);
  if (wants_json(flags.format)) {
    app.output().print(render_json(engine::public_json(*ports, vm)));
    return 0;
  }
  app.output().line(vm.id);
  app.output().remark(
      fmt::format("created vm {0}; `cocoon vm start {0}` starts it", vm.config.name));
  return 0;
}

}  // namespace

Command vm_create_command() {
  auto flags = std::make_shared<VmCreate>();
  Command command;
  command.path = "vm create";
  command.usage = "IMAGE";
  command.summary = "Create a VM without starting it";
  command.details = kDataDiskDetails;
  command.flags = create_flag_table(flags->create);
  command.flags.push_back(pull_flag(&flags->pull, PullPolicy::kNever));
  command.flags.push_back(output_flag(&flags->format));
  command.min_names = command.max_names = 1;
  command.takes_command = true;
  command.names = Names::kImage;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
