// SPDX-License-Identifier: Apache-2.0
#include "engine/locks.h"

namespace cocoon::engine {

Result<sys::FileLock> lock_vm(const Ports& ports, const std::string& id, std::string_view verb,
                              Milliseconds wait) {
  store::fs::path path = ports.paths.lock("vm", id);
  COCOON_TRY(sys::make_dirs(path.parent_path(), 0700), "lock vm {}", id);
  return COCOON_TRY(sys::FileLock::take(path, sys::FileLock::Mode::kExclusive, verb, wait), "vm {}",
                    id);
}

}  // namespace cocoon::engine
