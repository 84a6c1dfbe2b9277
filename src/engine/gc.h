// SPDX-License-Identifier: Apache-2.0
// `gc`: removes what dead commands left and what nothing uses any more. Never touches a live VM or
// a running command's work.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/ports.h"

namespace cocoon::engine {

struct GcItem {
  std::string
      kind;  // vm, directory, uid, memory, process, blob, kernel, download, temp, lock, exit-record
  std::string name;
  std::int64_t bytes = 0;
};

struct GcReport {
  std::vector<GcItem> removed;       // or what would be removed
  std::vector<std::string> skipped;  // busy things, with the reason
};

Result<GcReport> collect_garbage(Ports& ports, bool dry_run);

}  // namespace cocoon::engine
