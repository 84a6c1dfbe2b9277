// SPDX-License-Identifier: Apache-2.0
// What the guest program is told (design §8): pure rendering of /cocoon/boot.json.
#pragma once

#include <string>
#include <vector>

#include "model/vm.h"

namespace cocoon::engine {

// The version directory of the kernel's module tree; empty when the kernel came without modules.
// `dns`: addresses for /etc/resolv.conf. Disks are named by serial, and by their place among the
// VM's disks for guests that see no serials. `ends_by_reboot`: the guest's last act has to be a
// reboot, or its VMM would stay (Capabilities::ends_by_reboot).
std::string render_boot_json(const model::Vm& vm, const std::string& modules_version,
                             const std::vector<std::string>& dns, bool ends_by_reboot = false);

// The archive that is appended to the kernel's initramfs: /cocoon/boot.json, mode 0400.
std::string render_boot_archive(const std::string& boot_json);

// Serials of the engine's own disks (spec 02 §10).
inline constexpr const char* kCowSerial = "cocoon-cow";
inline constexpr const char* kModulesSerial = "cocoon-modules";
std::string layer_serial(std::size_t index);

}  // namespace cocoon::engine
