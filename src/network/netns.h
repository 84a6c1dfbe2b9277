// SPDX-License-Identifier: Apache-2.0
// Network namespaces of VMs: files below /run/netns that a namespace is mounted on, as `ip netns`
// has them (spec 05 §1.5, n1, n2). Each has a claim, which says whose it is: nothing is ever
// removed because of its name alone.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cocoon::network {

// Whose namespaces: one engine's root directory, by its install ID.
struct Owner {
  std::string install_id;
  std::string vm_id;
};

// /run/netns/cocoon-<VM ID>
std::filesystem::path netns_path(std::string_view vm_id);

// Is a namespace mounted there? (A plain file is none.)
bool is_netns(const std::filesystem::path& path);

// Claims and makes the VM's namespace; one that is there stays if it is ours. kConflict: it belongs
// to somebody else.
Result<void> make_netns(const Owner& owner);

// Removes it and its claim. Not there, or somebody else's: nothing to do. Processes in it keep it
// alive, nameless.
Result<void> remove_netns(const Owner& owner);

// IDs of the VMs that this engine has claimed namespaces for.
Result<std::vector<std::string>> claimed_netns(const std::string& install_id);

// Runs `work` in the namespace, on a thread of its own that then ends: no thread of ours ever comes
// back from another namespace.
Result<void> in_netns(const std::filesystem::path& path, const std::function<Result<void>()>& work);

}  // namespace cocoon::network
