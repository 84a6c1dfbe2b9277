// SPDX-License-Identifier: Apache-2.0
// The devices of a Firecracker guest, as they are stored with the VM at its creation. What a guest
// sees of them is their order, so every later launch uses the same: a plan is never recomputed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/vm.h"
#include "vmm/capabilities.h"

namespace cocoon::vmm::firecracker {

// Firecracker has interrupts for 17 virtio devices on x86 (one more fails only when the guest is
// started, with words about a GSI). Every guest has a balloon, a source of entropy and a vsock;
// they are part of the plan's format.
inline constexpr std::size_t kMaxDevices = 17;
inline constexpr std::size_t kFixedDevices = 3;
inline constexpr std::size_t kMaxDisks = kMaxDevices - kFixedDevices;
inline constexpr int kMaxCpus = 32;  // MAX_SUPPORTED_VCPUS

struct DrivePlan {
  std::string path;  // the record's disk, by its name in the VM directory
  std::string id;    // "drive_0": letters, digits and '_' only
  bool operator==(const DrivePlan&) const = default;
};

struct Plan {
  int vcpus = 1;
  std::int64_t memory = 0;        // bytes
  std::vector<DrivePlan> drives;  // attach order
  std::size_t nics = 0;           // eth0, eth1…, with one pair of queues each
  bool operator==(const Plan&) const = default;
};

// Plans the devices of a new VM. kUnsupported with the numbers for more devices or vCPUs than there
// are places, for a guest that boots a disk, and for what needs a capability that Firecracker
// lacks; kInvalid for memory that is no multiple of 1 MiB, or disks with one name.
Result<Plan> make_plan(const model::Vm& vm);

// The same plan with the record's NICs in place of its own; nothing else changes. kUnsupported as
// make_plan.
Result<Plan> replan_nics(const Plan& plan, const model::Vm& vm);

// The plan for the record's disks as they are now: disks that are gone give their places up, new
// ones get one. kUnsupported as make_plan; kCorrupt: plan and record have their disks in different
// orders.
Result<Plan> replan_disks(const Plan& plan, const model::Vm& vm);

// The same plan with the record's vCPUs and memory; the queues of its devices stay. kUnsupported,
// kInvalid as make_plan.
Result<Plan> replan_size(const Plan& plan, const model::Vm& vm);

model::DevicePlan plan_to_json(const Plan& plan);

// Reads and checks a stored plan, which may come from a hostile snapshot. kCorrupt.
Result<Plan> parse_plan(const model::DevicePlan& json);

}  // namespace cocoon::vmm::firecracker
