// SPDX-License-Identifier: Apache-2.0
// The config.json of a snapshot: checked against the record that was saved with it, and then made
// anew for the guest that goes on (design decision 8). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/vm.h"
#include "vmm/cloud_hypervisor/host.h"
#include "vmm/cloud_hypervisor/plan.h"

namespace cocoon::vmm::cloud_hypervisor {

// The zone of guest memory that lies in a file. The ID of memory without zones is Cloud
// Hypervisor's own, and it takes no zone of that name.
inline constexpr const char* kMemoryZone = "ram";
inline constexpr const char* kDefaultZone = "mem0";

// What of a config.json no record holds, and what has to stay as it was because the guest, or the
// device state, knows it. Everything else is rendered from the record.
struct SavedConfig {
  nlohmann::ordered_json cpus;  // members of "cpus": what the guest may know of its processors
  std::vector<bool> sparse;     // disks in the plan's order
  struct Nic {
    std::string id;
    bool tso = true, ufo = true, csum = true;  // offloads
  };
  std::vector<Nic> nics;
  std::string vsock_id;  // empty: the plan has none
  std::uint64_t balloon_size = 0;
  bool balloon_deflates = true, balloon_reports = true;
  // Memory was in the VM directory's own shared file, which the VMM leaves out when it saves.
  bool memory_in_file = false;
};

// Where a loaded guest's memory comes from.
enum class MemoryHome {
  kAnonymous,    // read in by the VMM
  kPrivateFile,  // a private mapping of a snapshot's member
  kOwnFile,      // a shared mapping of the VM's own file
};

// Reads and checks it. `vm` and `plan`: as they were saved. kCorrupt, naming the member: no JSON,
// or a member that is unknown, of the wrong type, or not what the record says.
Result<SavedConfig> parse_saved_config(std::string_view text, const model::Vm& vm,
                                       const Plan& plan);

// The config.json of the guest that goes on: `vm` is its own record. `memory_file`: the file in the
// VM directory for the homes that have one. Errors as render_vm_config.
Result<nlohmann::ordered_json> render_load_config(const model::Vm& vm, const Plan& plan,
                                                  const Host& host, const SavedConfig& saved,
                                                  MemoryHome home, std::string_view memory_file);

}  // namespace cocoon::vmm::cloud_hypervisor
