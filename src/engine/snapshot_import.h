// SPDX-License-Identifier: Apache-2.0
// `snapshot import`: a snapshot from an archive, a stream or a directory (design §10; spec 04 §11).
// Everything in it is hostile until it is checked. Links archive and crypto libraries:
// cocoon_engine_acquire only.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/ports.h"
#include "engine/snapshot_unpack.h"
#include "model/snapshot.h"

namespace cocoon::engine {

struct SnapshotImportRequest {
  SnapshotSource source;
  std::string name;         // empty: the archive's
  std::string description;  // empty: the archive's
  // Where layers, base disk and kernel may be that this store does not have; empty: nowhere. For an
  // archive of the original engine: the root directory of its store.
  std::filesystem::path blobs;
  // Such an archive has no digests of them: the user answers for those of this store.
  bool assume_same_blobs = false;
  // The user answers for the VMM's state, where it cannot be checked (Firecracker's).
  bool trust = false;
};

struct SnapshotImportReport {
  model::Snapshot snapshot;
  std::vector<std::string> skipped;  // entries that were no regular files
};

// Imports a snapshot under a new ID. After a failure or a cancellation nothing is left behind.
// kConflict ("already exists") for the name; kCorrupt: damaged or hostile, naming the member;
// kNotFound: the image or the kernel that it rests on is not here; kUnsupported: of another program
// or version; kSystem: no room.
Result<SnapshotImportReport> import_snapshot(Ports& ports, const SnapshotImportRequest& request);

// Imports a snapshot for one use and removes it afterwards, whatever came of it. Meanwhile nobody
// else sees it: its row stays pending, which takes no name, and its lock is held; so after a kill
// -9 it goes with the next command that meets it, or with gc. VMs that were made of it stay. Errors
// as import_snapshot, or those of `use`.
Result<void> lend_snapshot(Ports& ports, const SnapshotImportRequest& request,
                           const std::function<Result<void>(const SnapshotImportReport&)>& use);

// The record in a directory, as it says; for questions that come before an import. Of a guest of
// the original engine only what its documents say. kCorrupt, kUnsupported, kSystem.
Result<model::Snapshot> read_snapshot_directory(const std::filesystem::path& directory);

}  // namespace cocoon::engine
