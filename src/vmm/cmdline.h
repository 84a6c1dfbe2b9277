// SPDX-License-Identifier: Apache-2.0
// Kernel command lines of directly booted guests, for every backend. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "model/vm.h"

namespace cocoon::vmm {

// A guest of the boot kit: everything it has to know is in boot.json, so the line only says where
// the console is and how the machine ends. `panic=-1` and `reboot=k`: a kernel that panics before
// our program runs restarts at once, through the keyboard controller, which every VMM has. Where
// that ends no VMM, the shim ends it after a few boots that went no further (shim/panic_watch.h).
std::string boot_kit_cmdline(std::string_view console);

// What a guest of the boot kit needs on its line for its NICs, to be put behind it: names eth0,
// eth1… stay as the kernel gives them. Empty without NICs.
std::string boot_kit_nic_arguments(const model::Vm& vm);

// How the guest knows its disks.
enum class DiskNames {
  kSerials,
  kOrder,  // "/dev/vda" and so on, in attach order: the VMM gives no serials
};

// The longest line that a kernel takes: COMMAND_LINE_SIZE of x86 without the NUL.
inline constexpr std::size_t kMaxCmdline = 2047;

// A guest that boots its image's own kernel: the keys of the original in their order (spec 02 §10,
// spec 03 §7), and always the host name (spec 02 B27). Its NICs are named eth0, eth1…; each with an
// address has an `ip=` with at most two IPv4 name servers, and the others ask DHCP (spec 05 §4).
// kInvalid: no layer, no copy-on-write disk, or the line is too long.
Result<std::string> image_cmdline(const model::Vm& vm, std::string_view console,
                                  DiskNames names = DiskNames::kSerials);

// The kernel's name of the virtio disk at a place: "vda", "vdz", "vdaa".
std::string virtio_disk_name(std::size_t index);

}  // namespace cocoon::vmm
