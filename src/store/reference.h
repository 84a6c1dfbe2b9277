// SPDX-License-Identifier: Apache-2.0
// What a user types for a VM or a snapshot (spec 01 §6.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "store/db.h"

namespace cocoon::store {

// The ID in `table` (columns id and name) that a reference names: exact ID, exact name, then an ID
// prefix of at least 3 characters. nullopt: nothing. kConflict when several IDs start so.
Result<std::optional<std::string>> resolve_reference(Db& db, std::string_view table,
                                                     std::string_view reference);

}  // namespace cocoon::store
