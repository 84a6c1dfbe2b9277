// SPDX-License-Identifier: Apache-2.0
// `vm clone`: a new VM that goes on from a snapshot under an identity of its own (design §8, §10).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ports.h"
#include "model/data_disk.h"
#include "model/snapshot.h"
#include "model/vm.h"
#include "vmm/saved.h"

namespace cocoon::engine {

// How the clone's guest gets MACs of its own.
enum class NicSwap {
  kAuto,  // its agent is told; where the snapshot says that there is none, as kOn if that can be
  kOn,    // it gets other NICs
  kOff,   // its agent is told, or its user
};

// "auto", "on", "off"; kInvalid for anything else.
Result<NicSwap> parse_nic_swap(std::string_view text);

// What the user asked for; not said: as in the snapshot.
struct CloneRequest {
  std::string name;                    // empty: cocoon-clone-<first 8 of the ID>
  std::optional<int> cpu;              // at least as many, seen after the next boot
  std::optional<std::int64_t> memory;  // the same
  std::optional<std::int64_t> storage;
  std::optional<int> nics;
  std::string network;
  std::string bridge;
  std::vector<std::string> dns;                 // instead of the network's; not kept
  std::optional<std::string> memory_backing;    // "file" or ""
  std::vector<model::DataDiskSpec> data_disks;  // fresh ones, in addition; need not be complete
  std::vector<std::string> dropped_disks;       // names of data disks that are left out
  vmm::RestoreMode mode = vmm::RestoreMode::kAuto;
  NicSwap nic_swap = NicSwap::kAuto;
  bool no_direct_io = false;
};

// Clones the snapshot of that ID. The clone runs when this returns: its guest knows its new name,
// MACs, addresses and the time, and only then was its network opened. On any failure everything is
// gone again, with one exception: a guest whose agent does not take its identity is kept, running,
// with its network closed. kNotFound, kConflict ("already exists"), kInvalid, kUnsupported,
// kCorrupt naming the member, kVmm; of disks as plan_disk_changes and change_disks.
Result<model::Vm> clone_vm(Ports& ports, const std::string& snapshot_id,
                           const CloneRequest& request);

// The same of a snapshot that is complete and whose lock the caller holds.
Result<model::Vm> clone_snapshot(Ports& ports, const model::Snapshot& snapshot,
                                 const CloneRequest& request);

}  // namespace cocoon::engine
