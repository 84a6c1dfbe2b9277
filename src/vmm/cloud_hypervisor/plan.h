// SPDX-License-Identifier: Apache-2.0
// The devices of a Cloud Hypervisor guest, as they are stored with the VM at its creation. They are
// visible to the guest and part of the device state of its snapshots, so a plan is never
// recomputed. PCI slots are given out by Cloud Hypervisor in the order of the configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/vm.h"

namespace cocoon::vmm::cloud_hypervisor {

inline constexpr int kMaxCpus = 255;

// Slots of PCI segment 0 that are free for disks and NICs: 32, less the host bridge and the devices
// that the guest has anyway: entropy, vsock, watchdog, balloon (not Windows), virtio console
// (direct boot only).
int free_slots(const model::Vm& vm);
// The same for a direct-boot guest, which has the fewest.
inline constexpr int kFreeSlotsDirect = 26;

struct DiskPlan {
  std::string path;  // the record's disk, by its name in the VM directory
  std::string id;    // device id, "disk-data-db"
  int queues = 1;
  int queue_size = 512;
  bool operator==(const DiskPlan&) const = default;
};

struct NicPlan {
  int queue_pairs = 1;
  int queue_size = 512;
  bool operator==(const NicPlan&) const = default;
};

struct Plan {
  int vcpus = 1;
  std::int64_t memory = 0;      // bytes
  std::vector<DiskPlan> disks;  // attach order
  std::vector<NicPlan> nics;    // order = eth<i>; device ids net0, net1…
  bool vsock = true;            // a guest that the original engine saved has none
  bool operator==(const Plan&) const = default;
};

// Plans the devices of a new VM. kUnsupported with the numbers when there are more disks and NICs
// than slots or more vCPUs than the machine takes; kInvalid for memory that is no multiple of
// 1 MiB, a queue size that is no power of two, or disks with one name.
Result<Plan> make_plan(const model::Vm& vm);

// The same plan with the record's NICs in place of its own. Nothing else changes; those that both
// have stay as they are. kUnsupported, kInvalid as make_plan.
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

}  // namespace cocoon::vmm::cloud_hypervisor
