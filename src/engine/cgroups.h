// SPDX-License-Identifier: Apache-2.0
// The cgroup leaves of VMs and shims (design §4). Those of all root directories of a host lie side
// by side, so the name of a VM's leaf says whose it is: "<install id>-<VM>" (see install_id).
#pragma once

#include <string>
#include <vector>

#include "engine/ports.h"

namespace cocoon::engine {

// The leaf that a VM's VMM joins; empty where there is no cgroup v2. Made if it is not there.
Result<store::fs::path> make_vm_cgroup(const Ports& ports, const std::string& vm_id);

// The leaf that all shims of the host live in, and what else serves a VM without being its VMM. It
// is never removed: whoever joins it would have to hold off all others.
Result<store::fs::path> make_shim_cgroup();

// Removes a VM's leaf, an unmarked one of an earlier version too; absent or still busy ones are
// fine (gc comes back for them). With the VM's lock held.
Result<void> remove_vm_cgroup(const Ports& ports, const std::string& vm_id);

// The VMs that leaves of this root directory are named after. Unmarked ones, of an earlier version,
// may be any root directory's: they count once they are too old for a VMM that is just starting.
Result<std::vector<std::string>> list_vm_cgroups(const Ports& ports);

}  // namespace cocoon::engine
