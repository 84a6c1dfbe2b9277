// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/snapshot/snapshot.h"
#include "engine/snapshot_list.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const std::string& reference) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  if (ports == nullptr) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kSnapshotNotFound, reference);
  }
  model::Snapshot snapshot = COCOON_TRY(engine::inspect_snapshot(*ports, reference));
  app.output().print(render_json(engine::snapshot_json(*ports, snapshot)));
  return 0;
}

}  // namespace

Command snapshot_inspect_command() {
  auto format = std::make_shared<std::string>("json");
  Command command;
  command.path = "snapshot inspect";
  command.usage = "SNAPSHOT";
  command.summary = "Show everything about a snapshot as JSON";
  command.flags = {json_only_flag(format.get())};
  command.min_names = command.max_names = 1;
  command.names = Names::kSnapshot;
  command.run = [format](App& app, const Arguments& arguments) {
    return run(app, arguments.names[0]);
  };
  return command;
}

}  // namespace cocoon::cli
