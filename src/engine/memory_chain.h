// SPDX-License-Identifier: Apache-2.0
// Guest memory of incremental snapshots: a snapshot with a parent holds the pages that have changed
// since that one (disk/page_delta.h), and the parent may have one too, down to a whole memory.
//
// A row with a parent pins that one, so whoever holds the lock of a snapshot has its whole chain.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "disk/page_delta.h"
#include "engine/ports.h"
#include "model/snapshot.h"
#include "sys/fd.h"
#include "vmm/saved.h"

namespace cocoon::engine {

// Each link makes loads a little slower.
inline constexpr std::size_t kMaxChain = 32;

// The files that make up the memory of a snapshot.
class MemoryChain {
 public:
  // `member`: the name of the memory in all of them. kCorrupt naming the snapshot: one is missing,
  // or a file is not of its size.
  static Result<MemoryChain> open(Ports& ports, const model::Snapshot& snapshot,
                                  const std::string& member);

  std::int64_t bytes() const { return bytes_; }  // of the guest's memory
  std::size_t length() const { return files_.size(); }
  disk::PageStack stack() const;  // borrowed from this

  // Writes the memory into the empty file `to`, open for writing: blocks of the whole memory are
  // shared where the file system can. As disk::copy_file, apply_delta.
  Result<void> copy_to(int to) const;

 private:
  std::vector<sys::UniqueFd> files_;  // the whole memory first
  std::int64_t bytes_ = 0;
};

// The snapshot that an incremental save of the VM builds on: the one that `reference` names, else
// the newest that was taken of the VM. `files`: what the save will make. kNotFound; kInvalid: of
// another kind of guest, or the end of a chain that is long enough, or one that goes with a
// hibernated VM.
Result<model::Snapshot> choose_parent(Ports& ports, const model::Vm& vm,
                                      const std::string& reference, const vmm::SavedFiles& files);

// Replaces the whole memory in the directory of a snapshot under construction by what it has and
// its parent has not.
Result<void> thin_memory(Ports& ports, const model::Snapshot& snapshot, const std::string& member);

}  // namespace cocoon::engine
