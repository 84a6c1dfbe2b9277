// SPDX-License-Identifier: Apache-2.0
#include "engine/locks.h"

namespace cocoon::engine {
namespace {

using Mode = sys::FileLock::Mode;

Result<sys::FileLock> take(const Ports& ports, std::string_view kind, const std::string& id,
                           Mode mode, std::string_view verb, Milliseconds wait) {
  store::fs::path path = ports.paths.lock(kind, id);
  COCOON_TRY(sys::make_dirs(path.parent_path(), 0700), "lock {} {}", kind, id);
  return COCOON_TRY(sys::FileLock::take(path, mode, verb, wait), "{} {}", kind, id);
}

}  // namespace

Result<sys::FileLock> lock_vm(const Ports& ports, const std::string& id, std::string_view verb,
                              Milliseconds wait) {
  return take(ports, "vm", id, Mode::kExclusive, verb, wait);
}

Result<sys::FileLock> lock_snapshot(const Ports& ports, const std::string& id, Mode mode,
                                    std::string_view verb, Milliseconds wait) {
  return take(ports, "snapshot", id, mode, verb, wait);
}

Result<sys::FileLock> lock_export(const Ports& ports, const std::string& id,
                                  std::string_view verb) {
  return take(ports, "export", id, Mode::kExclusive, verb, Milliseconds(0));
}

}  // namespace cocoon::engine
