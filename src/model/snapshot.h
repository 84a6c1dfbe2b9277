// SPDX-License-Identifier: Apache-2.0
// The snapshot record: plain data, its JSON, its rules. No I/O. The same object is the row in the
// store and the sidecar `cocoon.json` in the snapshot's directory (design §10); a sidecar may be
// hostile, so everything is checked when it is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/vm.h"

namespace cocoon::model {

enum class SnapshotState {
  kPending,   // being made: for the world it is not there yet
  kReady,     // complete and immutable
  kDeleting,  // being removed: for the world it is gone
};
std::string_view snapshot_state_name(SnapshotState state);
Result<SnapshotState> parse_snapshot_state(std::string_view text);

enum class MemberKind {
  kShared,  // hard link to a file of the store: layers, base, kernel, firmware
  kDisk,    // what the VM alone has: COW, data and NoCloud disks, firmware variables
  kState,   // the VMM's
  kMemory,  // guest memory
};
std::string_view member_kind_name(MemberKind kind);

// A file in a snapshot's directory.
struct Member {
  std::string name;
  MemberKind kind = MemberKind::kDisk;
  std::int64_t size = 0;  // bytes, holes included
  // Hex; empty: not known (yet). Of the file where it is shared, else of its pages (`pages_sha256`
  // in JSON; snapshot/archive/member_digest.h says how).
  std::string sha256;
  bool operator==(const Member&) const = default;
};

// What a memory image expects of the processor (compared before a load under KVM).
struct CpuFacts {
  std::string vendor;
  std::string model;
  std::vector<std::string> flags;  // sorted, of /proc/cpuinfo
  bool operator==(const CpuFacts&) const = default;
};

struct Snapshot {
  std::string id;
  std::string name;         // may be empty
  std::string description;  // free text
  SnapshotState state = SnapshotState::kPending;
  // The VM as it was: without uid, process, op, exit. Its state is `stopped`.
  Vm vm;
  std::string source_vm;    // its ID; empty for an imported snapshot
  std::string vmm_version;  // "7.2.22"
  CpuFacts cpu;             // of the host, where KVM ran the guest
  std::vector<Member> members;
  // The ID of the snapshot that this one builds on: its memory member holds what has changed since
  // that (`snapshot save --incremental`). Empty: it is whole.
  std::string parent;
  // Was there an agent in the guest that could be told who it is? Absent: nobody asked, or it did
  // not say.
  std::optional<bool> agent;
  bool imported = false;  // came from elsewhere
  // Imported, and its VMM's state names files in a way that nobody can check: it is not loaded
  // (design decision 8).
  bool untrusted = false;
  bool hibernated = false;    // made by `vm hibernate`: goes when its VM wakes or is removed
  std::int64_t pause_us = 0;  // how long the guest stood still
  std::string created_at;
};

// ^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}$, no "." or ".." between slashes, not shaped like an ID
// (clients send "repo:tag", spec 05 §7.1). kInvalid.
Result<void> check_snapshot_name(std::string_view name);

// The name with all that is not fit for a file name replaced, and not longer than endings leave
// room for: "base:1.4" -> "base_1.4".
std::string file_name_of(std::string_view snapshot_name);

// As stored, and as in the sidecar. Unknown keys are ignored, missing ones get defaults; kCorrupt
// for a wrong type or an unknown format.
nlohmann::json to_stored_json(const Snapshot& snapshot);
Result<Snapshot> parse_snapshot(const nlohmann::json& json);

// Everything that must hold before anything acts on a snapshot: its VM's invariants (validate), one
// COW disk, disks and boot files under their usual names (guest_files.h), every file that the VM
// needs among the members exactly once, and no other disk or shared file. kInvalid or kCorrupt,
// naming the member.
Result<void> validate(const Snapshot& snapshot);

// The names of the VM directory that a snapshot of this VM consists of, by kind: links to shared
// files, and what is copied. VMM state and memory are the backend's to name.
std::vector<std::string> shared_files(const Vm& vm);
std::vector<std::string> disk_files(const Vm& vm);

const Member* find_member(const Snapshot& snapshot, std::string_view name);

// The public object (spec 01 §10.3 without `pending` and `data_dir`), plus source, members, sizes.
// `allocated`: bytes on disk, -1 when nobody looked.
nlohmann::json to_public_json(const Snapshot& snapshot, std::int64_t allocated);

}  // namespace cocoon::model
