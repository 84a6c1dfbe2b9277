// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"
#include "base/units.h"
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/snapshot/snapshot.h"
#include "cli/table.h"
#include "engine/snapshot_list.h"
#include "store/vm_rows.h"

namespace cocoon::cli {
namespace {

struct ListFlags {
  std::string vm;
  std::string format = "table";
};

std::string snapshot_table(const std::vector<model::Snapshot>& snapshots, bool of_vm) {
  if (snapshots.empty()) return of_vm ? "No snapshots found for VM.\n" : "No snapshots found.\n";
  Table table({"ID", "NAME", "CPU", "MEMORY", "DESCRIPTION", "CREATED"});
  for (const model::Snapshot& snapshot : snapshots) {
    table.add({snapshot.id, snapshot.name.empty() ? "-" : snapshot.name,
               fmt::format("{}", snapshot.vm.config.cpu), human_size(snapshot.vm.config.memory),
               snapshot.description.empty() ? "-" : snapshot.description,
               local_time(snapshot.created_at)});
  }
  return table.render();
}

Result<int> run(App& app, const ListFlags& flags) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  std::vector<model::Snapshot> snapshots;
  if (ports == nullptr && !flags.vm.empty()) {
    ports = COCOON_TRY(app.ports());  // which says that there is no such VM
  }
  if (ports != nullptr) {
    std::string vm_id;
    if (!flags.vm.empty()) vm_id = COCOON_TRY(store::resolve_vm(ports->db, flags.vm));
    snapshots = COCOON_TRY(engine::list_snapshots(*ports, vm_id));
  }
  if (!wants_json(flags.format)) {
    app.output().print(snapshot_table(snapshots, !flags.vm.empty()));
    return 0;
  }
  nlohmann::json list = nlohmann::json::array();
  for (const model::Snapshot& snapshot : snapshots) {
    list.push_back(engine::snapshot_json(*ports, snapshot));
  }
  app.output().print(render_json(list));
  return 0;
}

}  // namespace

Command snapshot_list_command() {
  auto flags = std::make_shared<ListFlags>();
  Command command;
  command.path = "snapshot list";
  command.summary = "List snapshots, oldest first";
  command.aliases = {"ls"};
  command.flags = {{.name = "vm",
                    .target = &flags->vm,
                    .help = "only those that were taken of this VM",
                    .value_name = "VM",
                    .completes = Names::kVm},
                   format_flag(&flags->format)};
  command.run = [flags](App& app, const Arguments&) { return run(app, *flags); };
  return command;
}

}  // namespace cocoon::cli
