// SPDX-License-Identifier: Apache-2.0
// The state.json of a snapshot: processors and devices as Cloud Hypervisor wrote them. What is in
// it is checked for names; only the memory's layout and the NICs' addresses are made anew, and all
// numbers stay as they are. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/vm.h"
#include "vmm/cloud_hypervisor/plan.h"
#include "vmm/cloud_hypervisor/saved_config.h"

namespace cocoon::vmm::cloud_hypervisor {

struct SavedState {
  nlohmann::json root;    // the whole file
  nlohmann::json memory;  // the state of its memory manager, taken out of the text it is in
  std::vector<std::string> nic_ids;
};

// The largest state.json of a guest with so many vCPUs.
std::size_t max_state_bytes(int vcpus);

// Reads and checks it against the record and the config.json of the same snapshot. kCorrupt, naming
// the member: no JSON; other parts, processors or devices than these have; a disk of another name;
// memory of another size, or not laid out one range behind the other.
Result<SavedState> parse_saved_state(std::string_view text, const model::Vm& vm, const Plan& plan,
                                     const SavedConfig& config);

// The state.json of the guest that goes on, with memory at `home` and the NICs of `vm`. A
// NIC that has no address yet (a plan made only to see whether it can be) leaves the saved one.
// kCorrupt: a NIC's state without an address.
Result<std::string> render_load_state(SavedState state, const model::Vm& vm, MemoryHome home);

}  // namespace cocoon::vmm::cloud_hypervisor
