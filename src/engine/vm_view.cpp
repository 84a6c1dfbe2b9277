// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_view.h"

#include <algorithm>

#include "engine/reconcile.h"
#include "model/wording.h"
#include "store/vm_rows.h"
#include "vmm/backend.h"

namespace cocoon::engine {

Result<std::vector<model::Vm>> list_vms(Ports& ports) {
  std::vector<model::Vm> seen;
  for (model::Vm& vm : COCOON_TRY(store::list_vms(ports.db), "list VMs")) {
    auto now = observe_vm(ports, vm);
    // Removed by another command in this moment: not there.
    if (!now && now.error().kind == ErrorKind::kNotFound) continue;
    if (!now && now.error().kind == ErrorKind::kInterrupted) return pass(std::move(now).error());
    if (!now) {
      // One VM that cannot be settled must not hide the others.
      ports.note(fmt::format("look at vm {}: {}", vm.id, now.error().to_string()));
      seen.push_back(std::move(vm));
    } else if (*now) {
      seen.push_back(std::move(**now));
    }
  }
  return seen;
}

Result<model::Vm> inspect_vm(Ports& ports, std::string_view reference) {
  std::string id = COCOON_TRY(store::resolve_vm(ports.db, reference));
  auto vm = COCOON_TRY(store::get_vm(ports.db, id));
  if (vm) vm = COCOON_TRY(observe_vm(ports, std::move(*vm)), "look at vm {}", id);
  if (!vm) return fail(ErrorKind::kNotFound, "{}: {}", model::kVmNotFound, reference);
  return std::move(*vm);
}

Result<std::vector<std::string>> resolve_vms(Ports& ports,
                                             const std::vector<std::string>& references) {
  std::vector<std::string> ids;
  for (const std::string& reference : references) {
    std::string id = COCOON_TRY(store::resolve_vm(ports.db, reference));
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

nlohmann::json public_json(const Ports& ports, const model::Vm& vm) {
  return model::to_public_json(vm, vm_dir(ports, vm).native());
}

nlohmann::json inspect_json(const Ports& ports, const model::Vm& vm) {
  nlohmann::json json = public_json(ports, vm);
  json["capabilities"] = nullptr;
  auto backend = vmm::make_backend(vm.hypervisor, ports.config);
  if (!backend) return json;
  auto able = (*backend)->capabilities();
  if (!able) return json;
  nlohmann::json& out = json["capabilities"];
  out = {{"version", able->version.to_string()},
         {"graceful_stop", vmm::graceful_stop_name(able->graceful_stop)},
         {"max_disks", able->max_disks},
         {"max_nics", able->max_nics},
         {"max_cpus", able->max_cpus}};
  for (const auto& [name, is_able] : vmm::capability_flags(*able)) {
    out[std::string(name)] = is_able;
  }
  return json;
}

store::fs::path vm_dir(const Ports& ports, const model::Vm& vm) {
  return ports.paths.vm(model::backend_directory(vm.hypervisor), vm.id);
}

store::fs::path vm_log_dir(const Ports& ports, const model::Vm& vm) {
  return ports.paths.vm_log(model::backend_directory(vm.hypervisor), vm.id);
}

}  // namespace cocoon::engine
