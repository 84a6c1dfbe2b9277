// SPDX-License-Identifier: Apache-2.0
// Disks of a running Cloud Hypervisor (spec 03 §10, §26).
#include "vmm/api_client.h"
#include "vmm/cloud_hypervisor/backend.h"
#include "vmm/cloud_hypervisor/devices.h"
#include "vmm/cloud_hypervisor/payload.h"
#include "vmm/cloud_hypervisor/plan.h"
#include "vmm/plan_rules.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

constexpr VmmDoor kDoor{"Cloud Hypervisor", kApiSocket};

Result<PlacedDisk<DiskPlan>> find_disk(const model::Vm& vm, const std::string& path) {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return find_placed_disk(vm, plan.disks, path);
}

}  // namespace

Result<std::vector<std::string>> CloudHypervisorBackend::plugged_disks(const model::Vm& vm,
                                                                       const RunningVmm& vmm,
                                                                       Deadline deadline) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  ApiClient client(vmm, kDoor);
  Devices devices =
      COCOON_TRY(Devices::ask(client, deadline), "ask Cloud Hypervisor for its disks");
  std::vector<std::string> paths;
  for (const DiskPlan& disk : plan.disks) {
    if (devices.has(disk.id)) paths.push_back(disk.path);
  }
  return paths;
}

// An ID that is there already is refused in words only (500), so we look first.
Result<void> CloudHypervisorBackend::plug_disk(const model::Vm& vm, const std::string& path,
                                               const RunningVmm& vmm, Deadline deadline) const {
  auto found = COCOON_TRY(find_disk(vm, path));
  ApiClient client(vmm, kDoor);
  Devices devices = COCOON_TRY(Devices::ask(client, deadline), "plug {} in", path);
  if (devices.has(found.place.id) && devices.is_configured(found.place.id)) return {};
  COCOON_TRY(client.call({"PUT", "/api/v1/vm.add-disk", render_disk(vm, *found.disk, found.place)},
                         deadline),
             "plug {} in", path);
  return {};
}

Result<void> CloudHypervisorBackend::unplug_disk(const model::Vm& vm, const std::string& path,
                                                 const RunningVmm& vmm, Deadline deadline) const {
  auto found = COCOON_TRY(find_disk(vm, path));
  ApiClient client(vmm, kDoor);
  Devices devices = COCOON_TRY(Devices::ask(client, deadline), "unplug {}", path);
  if (!devices.has(found.place.id)) return {};
  // Once more for one that left the configuration does no harm and wakes a guest that missed it.
  auto asked = client.call({"PUT", "/api/v1/vm.remove-device", {{"id", found.place.id}}}, deadline);
  if (!asked && devices.is_configured(found.place.id)) {
    return pass(std::move(asked).error(), fmt::format("unplug {}", path));
  }
  COCOON_TRY(wait_gone(client, found.place.id, vmm, deadline), "unplug {}", path);
  return {};
}

Result<void> CloudHypervisorBackend::grow_disk(const model::Vm& vm, const std::string& path,
                                               std::int64_t bytes, const RunningVmm& vmm,
                                               Deadline deadline) const {
  auto found = COCOON_TRY(find_disk(vm, path));
  ApiClient client(vmm, kDoor);
  ApiCall call{"PUT", "/api/v1/vm.resize-disk", {{"id", found.place.id}, {"desired_size", bytes}}};
  COCOON_TRY(client.call(call, deadline), "grow {}", path);
  return {};
}

}  // namespace cocoon::vmm::cloud_hypervisor
