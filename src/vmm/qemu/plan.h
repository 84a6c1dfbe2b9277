// SPDX-License-Identifier: Apache-2.0
// The devices of a QEMU guest, as they are stored with the VM at its creation. Everything in it is
// visible to the guest or is part of QEMU's device state, so each later launch and each load of a
// snapshot must use the same values (spec 06 §3.3): a plan is never recomputed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/vm.h"
#include "vmm/accel.h"
#include "vmm/capabilities.h"

namespace cocoon::vmm::qemu {

// Slots of q35's root bus pcie.0. 0 is the host bridge and 31 the LPC bridge, which leaves 30; the
// first three and the last hold the devices that every guest has, the rest is for disks, from the
// first one on, and for NICs, which have the last kMaxNics of them in ascending order. Slots take
// no hot-plug; the root ports in the last one do. These places and the fixed devices themselves are
// part of the plan's format: changing them means a new format number, with the old one still
// rendered as before.
inline constexpr int kSerialBusSlot = 1;
inline constexpr int kRngSlot = 2;
inline constexpr int kBalloonSlot = 3;
inline constexpr int kFirstFreeSlot = 4;
inline constexpr int kLastFreeSlot = 29;
inline constexpr int kRootPortSlot = 30;
inline constexpr int kFreeSlots = kLastFreeSlot - kFirstFreeSlot + 1;
inline constexpr int kFirstNicSlot = kLastFreeSlot - model::kMaxNics + 1;
inline constexpr int kMaxRootPorts = 8;   // functions of one slot
inline constexpr int kColdRootPorts = 4;  // of them, at most, for disks of a new VM
inline constexpr int kMaxCpus = 255;      // more need an interrupt remapping unit

struct DiskPlan {
  std::string path;  // the record's disk, by its name in the VM directory
  std::string node;  // block node and (with "disk-" before it) device id
  int slot = 0;      // on pcie.0; 0: it is behind a root port
  int queues = 1;
  int queue_size = 256;
  int port = -1;  // the root port, where it can be hot-plugged; -1: it is in a slot
  bool operator==(const DiskPlan&) const = default;
};

struct NicPlan {
  int slot = 0;
  int queue_pairs = 1;
  int queue_size = 512;
  bool operator==(const NicPlan&) const = default;
};

struct Plan {
  Version machine;  // pc-q35-<major>.<minor>
  std::string kvm_cpu = "host";
  std::string tcg_cpu = "max";
  int vcpus = 1;
  std::int64_t memory = 0;  // bytes
  int root_ports = 0;
  std::vector<DiskPlan> disks;  // attach order
  std::vector<NicPlan> nics;    // order = eth<i>
  bool operator==(const Plan&) const = default;

  std::string machine_type() const;
  const std::string& cpu(Accel accel) const { return accel == Accel::kKvm ? kvm_cpu : tcg_cpu; }
};

// Plans the devices of a new VM for this version of QEMU. kUnsupported with the numbers when there
// are more disks than slots or more vCPUs than the machine takes; kInvalid for memory that is no
// multiple of 1 MiB, a queue size that is no power of two, or disks with one name.
Result<Plan> make_plan(const model::Vm& vm, Version version);

// The same plan with the record's NICs in place of its own. Nothing else changes; those that both
// have stay as they are. kUnsupported, kInvalid as make_plan.
Result<Plan> replan_nics(const Plan& plan, const model::Vm& vm);

// The plan for the record's disks as they are now: disks that are gone give their places up, new
// ones get free ones, those of a running VM root ports only. kUnsupported with the numbers when
// none is free; kCorrupt: plan and record have their disks in different orders.
Result<Plan> replan_disks(const Plan& plan, const model::Vm& vm);

// The same plan with the record's vCPUs and memory; the queues of its devices stay. kUnsupported,
// kInvalid as make_plan.
Result<Plan> replan_size(const Plan& plan, const model::Vm& vm);

model::DevicePlan plan_to_json(const Plan& plan);

// Reads and checks a stored plan, which may come from a hostile snapshot. kCorrupt.
Result<Plan> parse_plan(const model::DevicePlan& json);

}  // namespace cocoon::vmm::qemu
