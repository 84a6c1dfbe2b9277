// SPDX-License-Identifier: Apache-2.0
// Firecracker's command line and the calls that configure and start it (spec 03 §9, §26), from the
// record and its stored plan. Pure.
#pragma once

#include <string>

#include "base/error.h"
#include "model/vm.h"
#include "vmm/firecracker/plan.h"
#include "vmm/launch.h"

namespace cocoon::vmm::firecracker {

// Sockets below the VM directory.
inline constexpr const char* kApiSocket = "sock/api";
inline constexpr const char* kVsockSocket = "sock/vsock";
// The guest's address on its vsock; each VM has a vsock of its own, so all have the same.
inline constexpr int kGuestCid = 3;

// What of the host decides how a VM is launched, and no guest sees.
struct HostFacts {
  bool async_io = false;      // io_uring works for a program without privileges
  bool needs_loader = false;  // Firecracker is linked dynamically
};

// The whole launch; `program` is left empty. kCorrupt: record and plan do not belong together.
// kInvalid: the record cannot be booted by this backend.
Result<Launch> render_launch(const model::Vm& vm, const Plan& plan, const HostFacts& host);

// The guest's kernel command line. kInvalid when it does not fit with what Firecracker appends.
Result<std::string> render_boot_args(const model::Vm& vm);

}  // namespace cocoon::vmm::firecracker
