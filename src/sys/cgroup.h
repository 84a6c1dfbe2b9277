// SPDX-License-Identifier: Apache-2.0
// cgroup v2 leaves for VMMs (design §4): found in mountinfo wherever it is mounted. Hosts without
// it, or where it is read-only, simply have none.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/error.h"
#include "sys/files.h"

namespace cocoon::sys {

// The mount point of a writable cgroup v2 hierarchy.
std::optional<fs::path> cgroup2_root();

// Makes `<root>/cocoon/<name>` and returns it; empty where there is no cgroup v2.
Result<fs::path> make_cgroup(const std::string& name);

// Removes it; absent or still busy ones are fine (gc comes back for them). With `kill` whoever is
// still in it is killed first (cgroup.kill, Linux 5.14): for the leaf of a VMM that has ended, in
// which nobody has to be.
void remove_cgroup(const std::string& name, bool kill);

// Names of the leaves that have been there for `age` at least.
std::vector<std::string> list_cgroups(std::chrono::seconds age);

}  // namespace cocoon::sys
