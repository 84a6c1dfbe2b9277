// SPDX-License-Identifier: Apache-2.0
// What is true about VMs: every reader goes through here, so that a record that says `running` has
// a live VMM behind it (design §4: exit records are folded in, dead shims replaced, half-made VMs
// of dead commands removed).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// All VMs, oldest first, reconciled.
Result<std::vector<model::Vm>> list_vms(Ports& ports);

// The VM that a reference names, reconciled. kNotFound, kConflict (ambiguous).
Result<model::Vm> inspect_vm(Ports& ports, std::string_view reference);

// IDs for several references: all or an error, duplicates dropped, first order kept.
Result<std::vector<std::string>> resolve_vms(Ports& ports,
                                             const std::vector<std::string>& references);

// The public JSON of a record (absolute paths).
nlohmann::json public_json(const Ports& ports, const model::Vm& vm);

// The same with what the VM's hypervisor can do here: `capabilities`, or null where it cannot be
// asked.
nlohmann::json inspect_json(const Ports& ports, const model::Vm& vm);

// The VM directory and log directory of a VM.
store::fs::path vm_dir(const Ports& ports, const model::Vm& vm);
store::fs::path vm_log_dir(const Ports& ports, const model::Vm& vm);

}  // namespace cocoon::engine
