// SPDX-License-Identifier: Apache-2.0
#include "cli/json_output.h"
#include "cli/kernel/kernel.h"

namespace cocoon::cli {

Command kernel_import_command(const KernelImportBody& body) {
  auto flags = std::make_shared<KernelImportFlags>();
  Command command;
  command.path = "kernel import";
  command.usage = "NAME";
  command.summary = "Import a kernel that boots images without one";
  command.details =
      "The first kernel becomes the default. Without --modules the kernel must have the drivers\n"
      "built in that reaching the disks takes.";
  command.flags = {{.name = "kernel",
                    .target = &flags->kernel,
                    .help = "kernel image: vmlinuz or vmlinux",
                    .value_name = "FILE",
                    .completes = Names::kFile},
                   {.name = "modules",
                    .target = &flags->modules,
                    .help = "module tree: /lib/modules/<version>",
                    .value_name = "DIR",
                    .completes = Names::kDirectory},
                   output_flag(&flags->format)};
  command.min_names = command.max_names = 1;
  set_helper_body(command, flags, body);
  // Asked before the helper starts, like every usage error.
  command.check = [flags]() -> Result<void> {
    if (!flags->kernel.empty()) return {};
    return fail(ErrorKind::kInvalid, "required flag not given: --kernel");
  };
  return command;
}

}  // namespace cocoon::cli
