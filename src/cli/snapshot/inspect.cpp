// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect.h"

#include "cli/snapshot/snapshot.h"
#include "engine/snapshot_list.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

Result<nlohmann::json> inspect(App& app, const std::string& reference) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  if (ports == nullptr) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kSnapshotNotFound, reference);
  }
  model::Snapshot snapshot = COCOON_TRY(engine::inspect_snapshot(*ports, reference));
  return engine::snapshot_json(*ports, snapshot);
}

}  // namespace

Command snapshot_inspect_command() {
  return inspect_command("snapshot", "SNAPSHOT", "a snapshot", Names::kSnapshot, inspect);
}

}  // namespace cocoon::cli
