// SPDX-License-Identifier: Apache-2.0
// The row of a new VM with its uid, before anything else of it exists (design decision 5).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/ports.h"
#include "engine/rollback.h"
#include "model/vm.h"

namespace cocoon::engine {

// Chooses the name inside the transaction that inserts the row.
using NameChoice = std::function<Result<std::string>()>;

// The given name must be free (kConflict, "already exists"); with `given` empty: `base`, or base-2,
// base-3… when that is taken.
Result<std::string> choose_vm_name(Ports& ports, const std::string& given, const std::string& base);

// Before a name is reserved: what a dead command was making or removing must not hold it. An empty
// name is none. Takes VM locks without waiting.
Result<void> reclaim_vm_name(Ports& ports, const std::string& name);

// Row and uid claim, with the pins on `blobs`; registers their undo (and that of everything made
// afterwards: drop_vm). Fills in vm.uid and vm.config.name. kConflict for the name or when no uid
// is free, kNotFound when a blob is not there any more.
Result<void> reserve_vm(Ports& ports, model::Vm& vm, const std::vector<std::string>& blobs,
                        const NameChoice& choose_name, Rollback& undo);

}  // namespace cocoon::engine
