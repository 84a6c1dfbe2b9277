// SPDX-License-Identifier: Apache-2.0
#include "engine/cgroups.h"

#include "base/id.h"
#include "engine/uids.h"
#include "sys/cgroup.h"

namespace cocoon::engine {
namespace {

constexpr const char* kShims = "shims";
// A leaf is made a moment before its VMM joins it.
constexpr std::chrono::seconds kUnmarkedAge{60};

Result<std::string> mark(const Ports& ports) {
  return COCOON_TRY(install_id(ports.db), "find the cgroups") + "-";
}

}  // namespace

Result<store::fs::path> make_vm_cgroup(const Ports& ports, const std::string& vm_id) {
  return sys::make_cgroup(COCOON_TRY(mark(ports)) + vm_id);
}

Result<store::fs::path> make_shim_cgroup() { return sys::make_cgroup(kShims); }

Result<void> remove_vm_cgroup(const Ports& ports, const std::string& vm_id) {
  sys::remove_cgroup(COCOON_TRY(mark(ports)) + vm_id, true);
  sys::remove_cgroup(vm_id, false);  // without a mark it may be another store's
  return {};
}

Result<std::vector<std::string>> list_vm_cgroups(const Ports& ports) {
  std::vector<std::string> ids;
  const std::string mine = COCOON_TRY(mark(ports));
  for (const std::string& name : sys::list_cgroups(std::chrono::seconds(0))) {
    if (name.starts_with(mine) && is_id(name.substr(mine.size()))) {
      ids.push_back(name.substr(mine.size()));
    }
  }
  for (std::string& name : sys::list_cgroups(kUnmarkedAge)) {
    if (is_id(name)) ids.push_back(std::move(name));
  }
  return ids;
}

}  // namespace cocoon::engine
