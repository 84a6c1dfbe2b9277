// SPDX-License-Identifier: Apache-2.0
//
// Who the VM is: host name, name resolution, machine id, the loopback interface.
#pragma once

#include <string>
#include <vector>

#include "guest/boot_config.h"
#include "guest/console.h"
#include "guest/root_dir.h"

namespace cocoon::guest {

/// /etc/hosts for an image that has none.
std::string render_hosts(const std::string& hostname);

/// /etc/resolv.conf: one nameserver line per address.
std::string render_resolv_conf(const std::vector<std::string>& dns);

/// Clears the machine id if the VM is another one than at the last boot from this COW: an empty
/// /etc/machine-id makes systemd choose a new one. The id of the VM is remembered in `stamp_dir`
/// (the COW, beside upper and work, where the guest's programs do not see it). An image without the
/// file gets one only if it is to run its init.
Result<void> reset_machine_id(const BootConfig& config, const RootDir& root,
                              const RootDir& stamp_dir);

/// Applies all of it to the kernel and to the new root. Failures are console warnings.
void apply_identity(const BootConfig& config, const RootDir& root, Console& console);

}  // namespace cocoon::guest
