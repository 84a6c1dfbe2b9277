// SPDX-License-Identifier: Apache-2.0
// What Cloud Hypervisor is told: its arguments and the body of vm.create, from the record and its
// stored plan (spec 03 §8, §26). Pure.
#pragma once

#include "base/error.h"
#include "model/vm.h"
#include "vmm/cloud_hypervisor/host.h"
#include "vmm/cloud_hypervisor/plan.h"
#include "vmm/launch.h"

namespace cocoon::vmm::cloud_hypervisor {

// Sockets below the VM directory.
inline constexpr const char* kApiSocket = "sock/api";
inline constexpr const char* kVsockSocket = "sock/vsock";
// The guest's address on its vsock; each VM has a socket of its own, so all have the same.
inline constexpr int kGuestCid = 3;

// The configuration that vm.create takes. kCorrupt: record and plan do not belong together.
// kInvalid: the record cannot be booted by this backend.
Result<nlohmann::ordered_json> render_vm_config(const model::Vm& vm, const Plan& plan,
                                                const Host& host);

// One disk of it, as vm.add-disk takes it, too.
nlohmann::ordered_json render_disk(const model::Vm& vm, const model::Disk& disk,
                                   const DiskPlan& plan);

// The whole launch; `program` is left empty. Errors as render_vm_config.
Result<Launch> render_launch(const model::Vm& vm, const Plan& plan, const Host& host);

}  // namespace cocoon::vmm::cloud_hypervisor
