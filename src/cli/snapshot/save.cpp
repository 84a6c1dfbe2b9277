// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/snapshot/snapshot.h"
#include "cli/vm/references.h"
#include "engine/snapshot_list.h"
#include "engine/snapshot_save.h"

namespace cocoon::cli {
namespace {

struct SaveFlags {
  engine::SaveRequest request;
  OptionalValue incremental;
  std::string format;
};

Result<int> run(App& app, const SaveFlags& flags, const std::string& reference) {
  FoundVm found = COCOON_TRY(find_vm(app, reference));
  engine::SaveRequest request = flags.request;
  if (flags.incremental.given) request.parent = flags.incremental.value;
  model::Snapshot snapshot = COCOON_TRY(engine::save_snapshot(*found.ports, found.vm.id, request));
  if (wants_json(flags.format)) {
    app.output().print(render_json(engine::snapshot_json(*found.ports, snapshot)));
    return 0;
  }
  app.output().line(snapshot.id);
  app.output().remark(fmt::format("saved vm {} (paused for {} ms); `cocoon vm clone {}` clones it",
                                  found.vm.config.name, (snapshot.pause_us + 999) / 1000,
                                  snapshot.name.empty() ? snapshot.id : snapshot.name));
  return 0;
}

}  // namespace

Command snapshot_save_command() {
  auto flags = std::make_shared<SaveFlags>();
  Command command;
  command.path = "snapshot save";
  command.usage = "VM";
  command.summary = "Save a running VM with its memory and all its disks";
  command.details = "The VM is paused for a moment, and runs on whatever happens.";
  command.flags = {
      {.name = "name",
       .target = &flags->request.name,
       .help = "name of the snapshot (default: none)",
       .value_name = "NAME"},
      {.name = "description",
       .target = &flags->request.description,
       .help = "what it is, in free words",
       .value_name = "TEXT"},
      {.name = "incremental",
       .target = &flags->incremental,
       .help = "keep only memory that changed since a snapshot (alone: the VM's newest)",
       .value_name = "SNAPSHOT",
       .completes = Names::kSnapshot},
      output_flag(&flags->format)};
  command.min_names = command.max_names = 1;
  command.names = Names::kVm;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments.names[0]);
  };
  return command;
}

}  // namespace cocoon::cli
