// SPDX-License-Identifier: Apache-2.0
// Blob records (design §5). Who writes: only the holder of the blob's exclusive lock. Functions
// that change rows expect the caller's transaction or stand alone as one statement.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/image.h"
#include "store/db.h"

namespace cocoon::store {

Result<std::optional<model::Blob>> get_blob(Db& db, const std::string& id);

// All blobs by ID.
Result<std::vector<model::Blob>> list_blobs(Db& db);

// Ready blobs whose ID starts with `prefix`, by ID.
Result<std::vector<model::Blob>> ready_blobs(Db& db, const std::string& prefix);

// Writes a `pending` row, new or over what a dead importer left (or a ready one whose file is
// gone).
Result<void> put_pending_blob(Db& db, const model::Blob& blob);

// Turns the pending row into a `ready` one with these facts. kInternal when there is no such row.
Result<void> set_blob_ready(Db& db, const model::Blob& blob);

// True when an image, a VM or a kernel rests on it.
Result<bool> blob_in_use(Db& db, const std::string& id);

// Marks a blob `deleting` in the transaction that finds no user of it; false when there is one or
// no row at all.
Result<bool> claim_unused_blob(Db& db, const std::string& id);

Result<void> delete_blob(Db& db, const std::string& id);

}  // namespace cocoon::store
