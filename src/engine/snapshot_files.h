// SPDX-License-Identifier: Apache-2.0
// The files of a snapshot (design §5, §10): a flat directory <root>/snapshots/<id>/, built as
// <id>.part and renamed when it is complete. Members are root's and never change.
#pragma once

#include <string>
#include <vector>

#include "disk/file_copy.h"
#include "engine/ports.h"
#include "model/snapshot.h"
#include "sys/files.h"

namespace cocoon::engine {

// The sidecar's name, and what a directory under construction ends in.
inline constexpr const char* kSidecarFile = "cocoon.json";
inline constexpr const char* kPartSuffix = ".part";

store::fs::path snapshot_dir(const Ports& ports, const std::string& id);
store::fs::path snapshot_part(const Ports& ports, const std::string& id);

// The directory below the VM's that a VMM saves into, and its removal. Named after the snapshot.
std::string save_dir_name(const std::string& snapshot_id);
Result<void> make_save_dir(const Ports& ports, const model::Vm& vm, const std::string& name);
// All of a VM: a dead command may have left several.
Result<void> remove_save_dirs(const Ports& ports, const model::Vm& vm);

// A file of the VM directory that the VMM can write, opened for reading the way hostile files are:
// no links, a regular file of this VM's uid with one name. kCorrupt.
Result<sys::UniqueFd> open_vmm_file(int vm_dir, const model::Vm& vm, const std::string& name);

// A new member, open for writing, root's, 0600 until seal_member().
Result<sys::UniqueFd> create_member(const store::fs::path& dir, const std::string& name);
// The member is complete: synced, 0444, its size noted.
Result<model::Member> seal_member(const store::fs::path& dir, const std::string& name,
                                  model::MemberKind kind);

// Hard links to the shared files that the VM directory has; their members.
Result<std::vector<model::Member>> link_shared(const Ports& ports, const model::Vm& vm,
                                               const store::fs::path& dir);

// Takes what a VMM wrote into `save_dir` into the snapshot: as a root-owned file that nobody holds
// open for writing (a read lease proves it), else as a copy.
Result<void> take_saved_file(const Ports& ports, const model::Vm& vm, const std::string& save_dir,
                             const std::string& name, const store::fs::path& dir);

// Writes the sidecar, syncs the directory and gives it its name.
Result<void> publish_snapshot(const Ports& ports, const model::Snapshot& snapshot);

// Removes the directory of a snapshot, complete or not. Not there is fine.
Result<void> remove_snapshot_files(const Ports& ports, const std::string& id);

// Are all members there, regular, root's, and of their size? kCorrupt naming the member.
Result<void> check_members(const Ports& ports, const model::Snapshot& snapshot);

}  // namespace cocoon::engine
