// SPDX-License-Identifier: Apache-2.0
// Kernel command lines of directly booted guests, for every backend. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "model/vm.h"

namespace cocoon::vmm {

// A guest of the boot kit: everything it has to know is in boot.json, so the line only says where
// the console is and how the machine ends. `panic=-1` and `reboot=k`: a kernel that panics before
// our program runs restarts at once, through the keyboard controller, which every VMM has.
std::string boot_kit_cmdline(std::string_view console);

// A guest that boots its image's own kernel: the keys of the original in their order (spec 02 §10,
// Cloud Hypervisor form, disks by serial), and always the host name (spec 02 B27). kInvalid: no
// layer, no copy-on-write disk, or the line is too long for a kernel (2047 bytes).
Result<std::string> image_cmdline(const model::Vm& vm, std::string_view console);

}  // namespace cocoon::vmm
