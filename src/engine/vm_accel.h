// SPDX-License-Identifier: Apache-2.0
// Hardware virtualization or emulation for a VM, and which backends that leaves.
#pragma once

#include "engine/ports.h"
#include "model/vm.h"
#include "vmm/accel.h"
#include "vmm/backend.h"

namespace cocoon::engine {

// Decides for one start; COCOON_ACCEL overrides. Says once per boot why guests are emulated.
// kUnsupported: this backend needs KVM and there is none that works, with the reason. No side
// effect.
Result<vmm::AccelChoice> choose_accel(Ports& ports, const vmm::Backend& backend,
                                      const model::Vm& vm);

// Could any VM of this backend start here at all? Says nothing about emulation. kUnsupported as
// above.
Result<void> check_accel(Ports& ports, const vmm::Backend& backend);

// For the choice of a backend: would a VM get KVM here?
bool is_kvm_usable(const Ports& ports);

// What the backend would launch with where all is well: what it needs, else emulation. For plans
// that are only looked at.
vmm::Accel planning_accel(const vmm::Capabilities& able);

}  // namespace cocoon::engine
