// SPDX-License-Identifier: Apache-2.0
// VM records in the store. Functions that change rows expect the caller's transaction.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/vm.h"
#include "store/db.h"

namespace cocoon::store {

// Adds the row with its pins: `blobs` cannot be collected while the row is there. kConflict
// ("… already exists") when the name is taken, kNotFound when a blob or the kernel is not ready.
Result<void> insert_vm(Db& db, const model::Vm& vm, const std::vector<std::string>& blobs);

// Writes the record (and the search columns). kNotFound when the row is gone.
Result<void> update_vm(Db& db, const model::Vm& vm);

// Drops row and pins; a missing row is fine.
Result<void> delete_vm(Db& db, const std::string& id);

// The record of an ID, nullopt when there is none.
Result<std::optional<model::Vm>> get_vm(Db& db, const std::string& id);

// All records, oldest first.
Result<std::vector<model::Vm>> list_vms(Db& db);

// IDs of the VMs in a state, oldest first: what has to be reconciled does not grow with the rest.
Result<std::vector<std::string>> vm_ids_in_state(Db& db, model::VmState state);

// The ID that a reference names (spec 01 §6.3): exact ID, exact name, then an ID prefix of at least
// 3 characters. kNotFound ("vm not found: …", which clients match on), kConflict when several IDs
// start so.
Result<std::string> resolve_vm(Db& db, std::string_view reference);

Result<bool> vm_name_taken(Db& db, std::string_view name);
Result<bool> uid_taken(Db& db, std::uint32_t uid);

}  // namespace cocoon::store
