// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/cocoon_image.h"
#include "cli/json_output.h"
#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/snapshot_list.h"
#include "engine/vm_restore.h"
#include "engine/vm_view.h"

namespace cocoon::cli {
namespace {

struct RestoreFlags {
  std::string mode;
  bool on_demand = false;
  bool verify = false;
  std::string format;
};

Result<int> run(App& app, const RestoreFlags& flags, const VerifySnapshotBody& verify,
                const Arguments& arguments) {
  engine::RestoreRequest request;
  if (flags.verify) {
    request.verify = [&app, &verify](engine::Ports& ports, const std::string& id) {
      return verify(app, ports, id);
    };
  }
  if (!flags.mode.empty()) request.mode = COCOON_TRY(vmm::parse_restore_mode(flags.mode));
  if (flags.on_demand) request.mode = vmm::RestoreMode::kOnDemand;
  FoundVm found = COCOON_TRY(find_vm(app, arguments.names[0]));
  model::Snapshot snapshot = COCOON_TRY(engine::inspect_snapshot(*found.ports, arguments.names[1]));
  model::Vm vm = COCOON_TRY(engine::restore_vm(*found.ports, found.vm.id, snapshot.id, request));
  if (wants_json(flags.format)) {
    app.output().print(render_json(engine::public_json(*found.ports, vm)));
    return 0;
  }
  app.output().line(vm.id);
  app.output().remark(fmt::format("restored vm {}; it runs", vm.config.name));
  return 0;
}

}  // namespace

Command vm_restore_command(const VerifySnapshotBody& verify) {
  auto flags = std::make_shared<RestoreFlags>();
  Command command;
  command.path = "vm restore";
  command.usage = "VM SNAPSHOT";
  command.summary = "Take a VM back to a snapshot";
  command.details =
      "What the VM has done since is lost. Everything that could refuse is looked at before a\n"
      "running VM is touched; a load that fails leaves it stopped, with its disks as before.";
  command.flags = {{.name = "restore-mode",
                    .target = &flags->mode,
                    .help = "how memory comes back (default auto)",
                    .value_name = "MODE",
                    .choices = {"auto", "copy", "ondemand", "mmap"}},
                   {.name = "on-demand",
                    .target = &flags->on_demand,
                    .help = "short for --restore-mode ondemand"},
                   {.name = "verify",
                    .target = &flags->verify,
                    .help = "read the snapshot and compare its digests first"},
                   output_flag(&flags->format)};
  command.min_names = command.max_names = 2;
  command.names = Names::kVm;
  command.run = [flags, verify](App& app, const Arguments& arguments) {
    if (flags->verify && !verify) return exec_cocoon_image(app.words());
    return run(app, *flags, verify, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
