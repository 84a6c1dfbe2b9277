// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_debug.h"

#include <algorithm>

#include "base/units.h"
#include "engine/vm_accel.h"
#include "engine/vm_view.h"

namespace cocoon::engine {
namespace {

// The configuration that a launch hands over as one document; null when it has none.
nlohmann::ordered_json* find_config(vmm::Launch& launch) {
  for (vmm::ApiCall& call : launch.calls) {
    if (call.body.is_object() && call.body.contains("cpus")) return &call.body;
  }
  return nullptr;
}

// Firecracker is told everything in a call of its own.
Result<void> apply_to_calls(const DebugChanges& changes, const model::Vm& vm, vmm::Launch& launch) {
  if (launch.calls.empty() || changes.max_cpu > 0) {
    return fail(ErrorKind::kUnsupported, "{}: a launch of {} has nothing that this would change",
                changes.max_cpu > 0 ? "--max-cpu" : "--balloon and --cow", vm.hypervisor);
  }
  auto cow = std::find_if(vm.disks.begin(), vm.disks.end(), [](const model::Disk& disk) {
    return disk.role == model::DiskRole::kCow;
  });
  for (vmm::ApiCall& call : launch.calls) {
    if (!call.body.is_object()) continue;
    if (changes.balloon > 0 && call.body.contains("amount_mib")) {
      call.body["amount_mib"] = changes.balloon;
    }
    bool is_cow = cow != vm.disks.end() && call.body.value("path_on_host", "") == cow->path;
    if (is_cow && !changes.cow.empty()) call.body["path_on_host"] = changes.cow;
  }
  return {};
}

Result<void> apply(const DebugChanges& changes, const model::Vm& vm, vmm::Launch& launch) {
  if (changes.max_cpu <= 0 && changes.balloon <= 0 && changes.cow.empty()) return {};
  nlohmann::ordered_json* config = find_config(launch);
  if (config == nullptr) return apply_to_calls(changes, vm, launch);
  if (changes.max_cpu > 0)
    (*config)["cpus"]["max_vcpus"] = std::max(changes.max_cpu, vm.config.cpu);
  if (changes.balloon > 0 && config->contains("balloon")) {
    (*config)["balloon"]["size"] = changes.balloon * kMiB;
  }
  for (std::size_t index = 0; index < vm.disks.size() && !changes.cow.empty(); ++index) {
    if (vm.disks[index].role != model::DiskRole::kCow) continue;
    (*config)["disks"][index]["path"] = changes.cow;
  }
  return {};
}

// Emulation where that is what would happen; a backend that cannot emulate is shown as it would be
// launched elsewhere.
Result<vmm::Accel> accel_to_show(Ports& ports, const vmm::Backend& backend) {
  vmm::Capabilities able = COCOON_TRY(backend.capabilities());
  return is_kvm_usable(ports) ? vmm::Accel::kKvm : planning_accel(able);
}

}  // namespace

Result<DebugPlan> plan_debug(Ports& ports, const CreateRequest& request,
                             const DebugChanges& changes) {
  model::Config config = ports.config;
  if (!changes.cloud_hypervisor.empty()) config.ch_binary = changes.cloud_hypervisor;
  Ports other{config, ports.paths, ports.db, ports.note};
  Planned planned = COCOON_TRY(plan_create(other, request));
  auto accel = COCOON_TRY(accel_to_show(other, *planned.backend));
  DebugPlan plan;
  plan.accel = vmm::accel_name(accel);
  plan.launch = COCOON_TRY(planned.backend->plan_launch(planned.vm, accel));
  COCOON_TRY(apply(changes, planned.vm, plan.launch));
  plan.dir = vm_dir(ports, planned.vm);
  plan.vm = std::move(planned.vm);
  return plan;
}

}  // namespace cocoon::engine
