// SPDX-License-Identifier: Apache-2.0
// Disks of a running Cloud Hypervisor (spec 03 §10, §26).
#include <algorithm>

#include "vmm/api_client.h"
#include "vmm/cloud_hypervisor/backend.h"
#include "vmm/cloud_hypervisor/payload.h"
#include "vmm/cloud_hypervisor/plan.h"
#include "vmm/plan_rules.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

constexpr VmmDoor kDoor{"Cloud Hypervisor", kApiSocket};
constexpr Milliseconds kPoll{50};

Result<PlacedDisk<DiskPlan>> find_disk(const model::Vm& vm, const std::string& path) {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return find_placed_disk(vm, plan.disks, path);
}

// What vm.info says of devices. A device that is being removed leaves the configuration at once and
// the tree when the guest has let go of it.
class Devices {
 public:
  static Result<Devices> ask(ApiClient& client, Deadline deadline) {
    Devices devices;
    devices.info_ = COCOON_TRY(client.call({"GET", "/api/v1/vm.info", nullptr}, deadline));
    if (!devices.info_.is_object() || !devices.tree().is_object()) {
      return fail(ErrorKind::kCorrupt, "vm.info: no devices in the answer");
    }
    return devices;
  }
  bool has(const std::string& id) const { return tree().contains(id); }
  // Is it still wanted?
  bool is_configured(const std::string& id) const {
    auto config = info_.find("config");
    if (config == info_.end() || !config->is_object()) return false;
    auto disks = config->find("disks");
    if (disks == config->end() || !disks->is_array()) return false;
    return std::any_of(disks->begin(), disks->end(), [&id](const nlohmann::json& disk) {
      auto own = disk.is_object() ? disk.find("id") : disk.end();
      return disk.is_object() && own != disk.end() && *own == id;
    });
  }

 private:
  const nlohmann::json& tree() const {
    static const nlohmann::json kNone;
    auto tree = info_.find("device_tree");
    return tree == info_.end() ? kNone : *tree;
  }
  nlohmann::json info_;
};

Result<void> wait_gone(ApiClient& client, const std::string& id, const RunningVmm& vmm,
                       Deadline deadline) {
  while (true) {
    Devices devices = COCOON_TRY(Devices::ask(client, deadline));
    if (!devices.has(id)) return {};
    if (time_left(deadline).count() == 0) {
      return fail(ErrorKind::kTimeout,
                  "the guest does not let go of the device (it may be busy, still booting, or "
                  "without PCI hot-plug)");
    }
    if (COCOON_TRY(has_ended(vmm, kPoll))) return died(vmm, kDoor.program);
  }
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
