// SPDX-License-Identifier: Apache-2.0
#include "cli/batch_report.h"
#include "cli/json_output.h"
#include "cli/kernel/kernel.h"
#include "engine/kernel_list.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

struct RmFlags {
  bool strict = false;
  std::string format;
};

Result<std::vector<engine::RemovedKernel>> remove(engine::Ports* ports, const RmFlags& flags,
                                                  const std::vector<std::string>& names) {
  if (ports == nullptr) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kKernelNotFound, names.front());
  }
  return engine::remove_kernels(*ports, names, flags.strict);
}

Result<int> run(App& app, const RmFlags& flags, const std::vector<std::string>& names) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  auto removed = remove(ports, flags, names);
  if (!removed) {
    auto look_up = [ports](const std::string& name) -> Result<void> {
      if (ports != nullptr && !name.empty()) COCOON_TRY(engine::inspect_kernel(*ports, name));
      return {};
    };
    return report_batch(app, nothing_done(names, removed.error(), look_up), flags.format);
  }
  engine::BatchResult result;
  for (const engine::RemovedKernel& kernel : *removed) {
    result.succeeded.push_back(kernel.name);
    if (kernel.was_default) {
      app.output().remark(fmt::format(
          "{} was the default kernel; `cocoon kernel default NAME` chooses another", kernel.name));
    }
    if (kernel.used_by.empty()) continue;
    app.output().remark(fmt::format("the files of {} stay: used by {}", kernel.name,
                                    fmt::join(kernel.used_by, ", ")));
  }
  return report_batch(app, result, flags.format);
}

}  // namespace

Command kernel_rm_command() {
  auto flags = std::make_shared<RmFlags>();
  Command command;
  command.path = "kernel rm";
  command.usage = "NAME [NAME...]";
  command.summary = "Remove kernels, all or none; VMs keep what they boot with";
  command.flags = {{.name = "strict",
                    .target = &flags->strict,
                    .help = "refuse while a VM boots with one of them"},
                   output_flag(&flags->format)};
  command.min_names = 1;
  command.max_names = kAnyNumber;
  command.names = Names::kKernel;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments.names);
  };
  return command;
}

}  // namespace cocoon::cli
