// SPDX-License-Identifier: Apache-2.0
// The engine's side of cocoon-shim (design §4): its configuration file, its start, its replacement.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/ports.h"
#include "model/vm.h"
#include "sys/process.h"
#include "vmm/launch.h"

namespace cocoon::engine {

// How long a shim may take from its VMM's end to its own, its exit record included. It needs
// milliseconds; a host may be too busy to give it them.
inline constexpr Milliseconds kShimEndLimit{30'000};

// Everything the shim is told, at launch and again when a dead one is replaced.
struct ShimConfig {
  std::string id;
  store::fs::path vm_dir, log_dir, exit_file;
  std::string boot_id;
  std::uint32_t uid = 0;  // uid = gid of the VMM
  std::vector<gid_t> groups;
  std::string nonce;
  std::string netns = "new";  // none, new, or a path
  store::fs::path cgroup, shim_cgroup;
  vmm::Launch launch;
};

// The content of <vm dir>/shim.conf: key=value strings, each ended by NUL. Pure.
std::string render_shim_config(const ShimConfig& config);

// Writes shim.conf and starts the shim, which starts the VMM. Returns the VMM. kVmm with the
// shim's words when it could not; nothing runs then.
Result<sys::ProcessRef> launch_shim(const ShimConfig& config);

// Is a shim of this VM alive? (It holds shim.lock for life.)
bool shim_alive(const store::fs::path& vm_dir);

// Replaces a dead shim. The VMM having ended meanwhile, or another command having been faster, is
// success: the next look at the VM tells.
Result<void> adopt_shim(const store::fs::path& vm_dir);

// Waits until no shim of this VM is left (it ends by itself after its VMM). kTimeout.
Result<void> wait_shim_end(const store::fs::path& vm_dir, Milliseconds limit);

// The VMM that the shim recorded last in <vm dir>/vmm; nullopt when it ended in order or never ran.
std::optional<model::Process> recorded_vmm(const store::fs::path& vm_dir);

}  // namespace cocoon::engine
