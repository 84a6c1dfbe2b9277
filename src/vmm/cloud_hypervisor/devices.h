// SPDX-License-Identifier: Apache-2.0
// The devices that a running Cloud Hypervisor has, by their IDs.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "vmm/api_client.h"

namespace cocoon::vmm::cloud_hypervisor {

// What vm.info says of devices. A device that is being removed leaves the configuration at once and
// the tree when the guest has let go of it.
class Devices {
 public:
  // kCorrupt: the answer has no devices. Errors as ApiClient::call.
  static Result<Devices> ask(ApiClient& client, Deadline deadline);
  bool has(const std::string& id) const { return tree().contains(id); }
  // Is this disk still wanted?
  bool is_configured(const std::string& id) const;

 private:
  const nlohmann::json& tree() const;
  nlohmann::json info_;
};

// Waits until the guest has let go of a device whose removal was asked for. kTimeout: it did not
// (it still may); kVmm: the VMM ended. Errors as Devices::ask.
Result<void> wait_gone(ApiClient& client, const std::string& id, const RunningVmm& vmm,
                       Deadline deadline);

}  // namespace cocoon::vmm::cloud_hypervisor
