// SPDX-License-Identifier: Apache-2.0
// Kernel objects and the names that point to them. Who writes an object: only the holder of its
// exclusive lock. Functions that change rows expect the caller's transaction or stand alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/kernel.h"
#include "store/db.h"

namespace cocoon::store {

// A ready kernel object.
Result<std::optional<model::Kernel>> get_kernel(Db& db, const std::string& id);

// IDs of all objects, in any state.
Result<std::vector<std::string>> list_kernel_ids(Db& db);

// Writes a `pending` row that pins its module tree. kConflict when it is ready.
Result<void> put_pending_kernel(Db& db, const model::Kernel& kernel);

// Turns the pending row into a `ready` one with this record.
Result<void> set_kernel_ready(Db& db, const model::Kernel& kernel);

// Points a name, new or taken, at a ready object; the first name of all becomes the default.
Result<void> put_kernel_name(Db& db, const std::string& name, const std::string& id);

// The object that a name points to; an empty name is the default one.
Result<std::optional<model::KernelName>> get_kernel_name(Db& db, const std::string& name);

// All names, sorted.
Result<std::vector<model::KernelName>> list_kernel_names(Db& db);

// False when there is no such name.
Result<bool> set_default_kernel(Db& db, const std::string& name);
Result<bool> delete_kernel_name(Db& db, const std::string& name);

// Names of the VMs that boot with an object, sorted.
Result<std::vector<std::string>> vms_using_kernel(Db& db, const std::string& id);

// True when a name or a VM needs it.
Result<bool> kernel_in_use(Db& db, const std::string& id);

// Marks an object `deleting` in the transaction that finds no user of it; false when there is one
// or no row at all.
Result<bool> claim_unused_kernel(Db& db, const std::string& id);

Result<void> delete_kernel(Db& db, const std::string& id);

}  // namespace cocoon::store
