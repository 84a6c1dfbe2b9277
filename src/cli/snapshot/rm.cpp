// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/batch_report.h"
#include "cli/json_output.h"
#include "cli/snapshot/snapshot.h"
#include "engine/snapshot_list.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const std::string& format, const std::vector<std::string>& references) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  auto resolve = [ports](const std::vector<std::string>& some) -> Result<std::vector<std::string>> {
    if (ports != nullptr) return engine::resolve_snapshots(*ports, some);
    return fail(ErrorKind::kNotFound, "{}: {}", model::kSnapshotNotFound, some.front());
  };
  auto ids = resolve(references);
  if (!ids) {
    auto look_up = [&resolve](const std::string& one) -> Result<void> {
      COCOON_TRY(resolve({one}));
      return {};
    };
    return report_batch(app, nothing_done(references, ids.error(), look_up), format);
  }
  auto order = COCOON_TRY(engine::removal_order(*ports, std::move(*ids)));
  auto remove = [](engine::Ports& own, const std::string& id) {
    return engine::remove_snapshot(own, id);
  };
  auto pace = order.linked ? engine::Pace::kOneByOne : engine::Pace::kSideBySide;
  return report_batch(app, engine::run_batch(*ports, order.ids, remove, pace), format);
}

}  // namespace

Command snapshot_rm_command() {
  auto format = std::make_shared<std::string>();
  Command command;
  command.path = "snapshot rm";
  command.usage = "SNAPSHOT [SNAPSHOT...]";
  command.summary = "Remove snapshots; VMs made from them keep what they have";
  command.flags = {output_flag(format.get())};
  command.min_names = 1;
  command.max_names = kAnyNumber;
  command.names = Names::kSnapshot;
  command.run = [format](App& app, const Arguments& arguments) {
    return run(app, *format, arguments.names);
  };
  return command;
}

}  // namespace cocoon::cli
