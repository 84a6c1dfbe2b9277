// SPDX-License-Identifier: Apache-2.0
// Programs that are to live in a cgroup of ours, not in the caller's: a service that calls us may
// stop, and what belongs to a VM stays.
#pragma once

#include "sys/files.h"
#include "sys/spawn.h"

namespace cocoon::sys {

// spawn() into the cgroup with this directory; empty: ours. The program never runs elsewhere
// before. Where the kernel refuses, it stays in ours. Errors as spawn().
Result<Child> spawn_in(const fs::path& cgroup, const SpawnSpec& spec);

}  // namespace cocoon::sys
