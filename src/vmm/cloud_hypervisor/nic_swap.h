// SPDX-License-Identifier: Apache-2.0
// A guest that goes on gets other NICs in place of those it had, for guests that nobody can tell of
// another MAC (spec 04 §19, the second way): restored with its NICs on stand-ins, it gets the new
// ones by hot-plug while it is paused, and is asked to let go of the others. Cloud Hypervisor frees
// a TAP only when the guest has done so, hence the stand-ins. Pure.
#pragma once

#include <string>
#include <vector>

#include "model/vm.h"
#include "vmm/cloud_hypervisor/plan.h"
#include "vmm/launch.h"
#include "vmm/saved.h"

namespace cocoon::vmm::cloud_hypervisor {

struct NicSwap {
  std::vector<StandIn> stand_ins;
  std::vector<ApiCall> calls;        // of the paused guest: every addition, then every removal
  std::vector<std::string> leaving;  // IDs of the NICs that go
};

// Is there something to exchange, and a free slot for each new NIC beside the old ones? `vm`: the
// record of the guest that goes on, `saved_vm` as it was.
bool can_swap_nics(const model::Vm& vm, const model::Vm& saved_vm);

// `config`: the configuration as it would be loaded for a guest that is told. Its NICs become the
// saved ones on stand-ins; what they were is what the calls plug in, under IDs that no NIC of the
// guest has.
NicSwap swap_nics(nlohmann::ordered_json& config, const model::Vm& saved_vm, const Plan& plan);

}  // namespace cocoon::vmm::cloud_hypervisor
