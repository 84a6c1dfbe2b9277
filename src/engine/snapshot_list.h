// SPDX-License-Identifier: Apache-2.0
// `snapshot list|inspect|rm`: what is there, and its end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/ports.h"
#include "model/snapshot.h"

namespace cocoon::engine {

// Complete snapshots, oldest first; with `vm_id` those that were taken of that VM.
Result<std::vector<model::Snapshot>> list_snapshots(Ports& ports, const std::string& vm_id = "");

// The complete snapshot that a reference names. kNotFound ("snapshot not found: …"), kConflict.
Result<model::Snapshot> inspect_snapshot(Ports& ports, std::string_view reference);

// The public object of a snapshot, with the bytes that it takes on disk.
nlohmann::json snapshot_json(const Ports& ports, const model::Snapshot& snapshot);

// IDs for several references: all or an error, duplicates dropped. Those that are half made are
// found too: rm removes them.
Result<std::vector<std::string>> resolve_snapshots(Ports& ports,
                                                   const std::vector<std::string>& references);

// The same IDs in an order in which they can be removed one after the other: what builds on
// another one comes first. `linked`: there are such.
struct RemovalOrder {
  std::vector<std::string> ids;
  bool linked = false;
};
Result<RemovalOrder> removal_order(Ports& ports, std::vector<std::string> ids);

// Removes a snapshot; VMs that were made from it keep what they have. Waits for clones that read
// it. kBusy naming who does, kConflict: a hibernated VM needs it, or snapshots build on it.
Result<void> remove_snapshot(Ports& ports, const std::string& id);

}  // namespace cocoon::engine
