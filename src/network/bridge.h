// SPDX-License-Identifier: Apache-2.0
// Bridge mode (design §6): a veth pair whose one end is a port of a bridge on the host and whose
// other end is eth<i> in the VM's namespace, so that no VMM lives in the host's namespace.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "network/netns.h"

namespace cocoon::network {

// "cb" + the first 8 characters of the VM's ID + "-<index>".
std::string port_name(std::string_view vm_id, int index);

// kNotFound: no such device; kInvalid: it is no bridge.
Result<void> check_bridge(const std::string& bridge);

// Makes the pair, in the host's namespace as the calling thread sees it: the port carries the
// owner's mark as its alias and the bridge's MTU, the VM's end this MAC. A port of the same name is
// replaced if it has this mark. kConflict: it has not.
Result<void> add_port(const Owner& owner, const std::string& bridge, int index,
                      const std::string& mac, const std::filesystem::path& netns);

// Deletes the port if it is there and has this mark.
Result<void> remove_port(const Owner& owner, int index);

// IDs of the VMs that this engine has ports for.
Result<std::vector<std::string>> port_owners(const std::string& install_id);

}  // namespace cocoon::network
