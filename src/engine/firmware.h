// SPDX-License-Identifier: Apache-2.0
// UEFI firmware of VMs that boot a disk. The code is kept once below <root>/firmware and linked
// into each VM directory, so that a package's update never changes it under a VM (or under a
// snapshot of one); its link count says who uses it. The variables are each VM's own.
#pragma once

#include "engine/ports.h"
#include "model/vm.h"
#include "vmm/backend.h"

namespace cocoon::engine {

// Puts firmware.fd (a link) and vars.fd (owned by the VMM) into the VM directory.
Result<void> make_firmware(const Ports& ports, const model::Vm& vm, const vmm::Firmware& firmware);

struct FirmwareGarbage {
  std::string name;
  std::int64_t bytes = 0;
};
// Removes kept firmware that no VM links to (with dry_run only tells). A create that is about to
// link to it keeps it anew.
Result<std::vector<FirmwareGarbage>> collect_firmware(const Ports& ports, bool dry_run);

}  // namespace cocoon::engine
