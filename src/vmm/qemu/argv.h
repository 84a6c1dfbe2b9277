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

// The whole launch; `program` is left empty. kCorrupt: record and plan do not belong together.
// kInvalid: the record cannot be booted by this backend.
Result<Launch> render_launch(const model::Vm& vm, const Plan& plan, Accel accel);

// The UUID that a guest finds in its firmware tables: the first 128 bits of the VM's ID with the
// version and variant of a random UUID, since an ID is random. kInvalid when it is no ID.
Result<std::string> vm_uuid(std::string_view id);

}  // namespace cocoon::vmm::qemu
