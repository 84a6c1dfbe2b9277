// SPDX-License-Identifier: Apache-2.0
// `snapshot save` and `vm hibernate`: a running VM with all its disks at one instant (design §10).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/ports.h"
#include "model/snapshot.h"

namespace cocoon::engine {

struct SaveRequest {
  std::string name;  // empty: none
  std::string description;
  // Keep only the memory that has changed since this snapshot; empty: the VM's newest. The pause is
  // that of a whole save.
  std::optional<std::string> parent = {};
};

// Files of the VM directory that are copied into a snapshot: disks, and firmware variables where
// there are some.
std::vector<std::string> disk_members(const Ports& ports, const model::Vm& vm);

// Saves a running VM, which runs on, whatever fails or dies. kConflict ("already exists") for the
// name, kWrongState for a VM that does not run, kUnsupported for what cannot be saved; kSystem for
// a full disk: nothing is left then. Of a parent as choose_parent.
Result<model::Snapshot> save_snapshot(Ports& ports, const std::string& vm_id,
                                      const SaveRequest& request);

// The VM's memory goes to disk and the VM is stopped, in one pause: `vm start` continues it. All
// or nothing: after a failure it runs as before. Returns the VM's record.
Result<model::Vm> hibernate_vm(Ports& ports, const std::string& vm_id);

}  // namespace cocoon::engine
