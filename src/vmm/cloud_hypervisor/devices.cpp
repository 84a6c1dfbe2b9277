// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/devices.h"

#include <algorithm>

namespace cocoon::vmm::cloud_hypervisor {
namespace {

constexpr Milliseconds kPoll{50};

}  // namespace

Result<Devices> Devices::ask(ApiClient& client, Deadline deadline) {
  Devices devices;
  devices.info_ = COCOON_TRY(client.call({"GET", "/api/v1/vm.info", nullptr}, deadline));
  if (!devices.info_.is_object() || !devices.tree().is_object()) {
    return fail(ErrorKind::kCorrupt, "vm.info: no devices in the answer");
  }
  return devices;
}

bool Devices::is_configured(const std::string& id) const {
  auto config = info_.find("config");
  if (config == info_.end() || !config->is_object()) return false;
  auto disks = config->find("disks");
  if (disks == config->end() || !disks->is_array()) return false;
  return std::any_of(disks->begin(), disks->end(), [&id](const nlohmann::json& disk) {
    auto own = disk.is_object() ? disk.find("id") : disk.end();
    return disk.is_object() && own != disk.end() && *own == id;
  });
}

const nlohmann::json& Devices::tree() const {
  static const nlohmann::json kNone;
  auto tree = info_.find("device_tree");
  return tree == info_.end() ? kNone : *tree;
}

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
    if (COCOON_TRY(has_ended(vmm, kPoll))) return died(vmm, "Cloud Hypervisor");
  }
}

}  // namespace cocoon::vmm::cloud_hypervisor
