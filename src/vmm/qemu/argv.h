// SPDX-License-Identifier: Apache-2.0
// QEMU's command line, from the record and its stored plan (spec 06 §1.2 and its last section).
// Pure.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "model/vm.h"
#include "vmm/accel.h"
#include "vmm/launch.h"
#include "vmm/qemu/plan.h"

namespace cocoon::vmm::qemu {

// Sockets below the VM directory.
inline constexpr const char* kQmpSocket = "sock/qmp";
inline constexpr const char* kAgentSocket = "sock/agent";
// Behind it the NIC's number: where the user-mode stack listens.
inline constexpr const char* kUserSocket = "sock/net";
// The agent's virtio-serial port as the guest sees it.
inline constexpr const char* kAgentPort = "org.cocoon.agent";

// A disk's block node, as blockdev-add takes it, and its device, as device_add does.
nlohmann::ordered_json render_node(const model::Vm& vm, const model::Disk& disk,
                                   const DiskPlan& plan);
nlohmann::ordered_json render_device(const model::Vm& vm, const model::Disk& disk,
                                     const DiskPlan& plan);
std::string device_id(const DiskPlan& plan);

// The whole launch; `program` is left empty. kCorrupt: record and plan do not belong together.
// kInvalid: the record cannot be booted by this backend.
Result<Launch> render_launch(const model::Vm& vm, const Plan& plan, Accel accel);

}  // namespace cocoon::vmm::qemu
