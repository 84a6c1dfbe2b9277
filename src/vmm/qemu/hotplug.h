// SPDX-License-Identifier: Apache-2.0
// Disks of a running QEMU, over QMP (spec 06 §4). Each step looks first and may be repeated: an
// earlier command may have died in the middle.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "vmm/qemu/qmp_client.h"

namespace cocoon::vmm::qemu {

// IDs of the devices that were named by us, those being unplugged included.
Result<std::vector<std::string>> device_ids(QmpClient& client, Deadline deadline);

// Adds block node and device; `node` and `device` as render_node and render_device make them. After
// an error neither is there, unless the connection broke.
Result<void> plug_disk(QmpClient& client, const nlohmann::ordered_json& node,
                       const nlohmann::ordered_json& device, Deadline deadline);

// Asks the guest to let go of the device, waits until it did, and removes the block node.
// kTimeout: it did not; the request stays with the guest.
Result<void> unplug_disk(QmpClient& client, const std::string& device, const std::string& node,
                         Deadline deadline);

}  // namespace cocoon::vmm::qemu
