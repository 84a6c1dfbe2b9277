// SPDX-License-Identifier: Apache-2.0
// Snapshot records in the store. Functions that change rows expect the caller's transaction.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/snapshot.h"
#include "store/db.h"

namespace cocoon::store {

// Adds the row with its pins: `blobs` cannot be collected while it is there. kConflict ("… already
// exists") when the name is taken, kNotFound when a blob, the kernel or the parent is not ready.
Result<void> insert_snapshot(Db& db, const model::Snapshot& snapshot,
                             const std::vector<std::string>& blobs);

// Writes the record (and the search columns). kNotFound when the row is gone.
Result<void> update_snapshot(Db& db, const model::Snapshot& snapshot);

// Drops row and pins; a missing row is fine.
Result<void> delete_snapshot(Db& db, const std::string& id);

// The record of an ID, whatever its state; nullopt when there is none.
Result<std::optional<model::Snapshot>> get_snapshot(Db& db, const std::string& id);

// All records, oldest first, whatever their state.
Result<std::vector<model::Snapshot>> list_snapshots(Db& db);

// The ID that a reference names. kNotFound ("snapshot not found: …", which clients match on),
// kConflict when it is ambiguous.
Result<std::string> resolve_snapshot(Db& db, std::string_view reference);

// Those that build on it, oldest first, whatever their state.
Result<std::vector<model::Snapshot>> snapshot_children(Db& db, const std::string& id);

Result<bool> snapshot_name_taken(Db& db, std::string_view name);

// Blobs that a VM or a snapshot pins.
Result<std::vector<std::string>> vm_blobs(Db& db, const std::string& vm_id);
Result<std::vector<std::string>> snapshot_blobs(Db& db, const std::string& id);

}  // namespace cocoon::store
