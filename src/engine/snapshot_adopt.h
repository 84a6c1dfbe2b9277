// SPDX-License-Identifier: Apache-2.0
// The shared members of a snapshot that comes in: layers, base disk, kernel, firmware. A memory
// image is only right on the very bytes that it was taken on, so each is found in the store by its
// digest, or taken over from the archive or from a directory that the user offers (design §10).
// Links crypto libraries: cocoon_engine_acquire only.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/ports.h"
#include "image/acquire/blob_store.h"
#include "snapshot/archive/documents.h"
#include "snapshot/archive/unpack.h"
#include "sys/file_lock.h"

namespace cocoon::engine {

// One per import. What it took over is pinned by nothing but its own locks until the caller has
// written the snapshot's row; undo() is for after a failure.
class SharedMembers {
 public:
  // `part`: the directory under construction, where carried files lie under their entries' names.
  // `offered`: a directory to look for missing files in; empty: none.
  SharedMembers(Ports& ports, std::filesystem::path part, std::filesystem::path offered)
      : ports_(ports),
        part_(std::move(part)),
        offered_(std::move(offered)),
        store_(ports.db, ports.paths) {}

  // Finds the source of every shared member, and writes into the snapshot's record what the store
  // calls it here. Files that were carried and are not needed are removed from `files` and `part`.
  // kNotFound saying what has to be imported first; kConflict when the store has other bytes under
  // that name; kCorrupt.
  Result<void> settle(snapshot::Sidecar& sidecar,
                      std::map<std::string, snapshot::UnpackedFile>& files);

  // Blobs to pin. The kernel object is boot.kernel_id.
  const std::vector<std::string>& blobs() const { return blobs_; }

  // Places the members in `part` once they are pinned.
  Result<void> link() const;

  // The row pins it all: what was taken over stays, and its locks are given back.
  void keep();
  // The row is gone: what was taken over, and not kept, goes, too.
  void undo();

 private:
  Result<void> settle_blob(snapshot::Sidecar& sidecar, const model::Member& member,
                           const snapshot::SharedSource& source);
  Result<void> settle_kernel(snapshot::Sidecar& sidecar, const model::Member& member,
                             const snapshot::SharedSource& source);
  Result<void> settle_firmware(const model::Snapshot& snapshot, const model::Member& member);
  Result<void> settle_member(snapshot::Sidecar& sidecar, const model::Member& member,
                             const snapshot::SharedSource& source);
  Result<std::optional<image::BlobLease>> local_blob(const std::string& id,
                                                     const std::string& sha256);
  Result<std::optional<image::BlobLease>> adopted_blob(const model::Member& member,
                                                       const std::string& kind);
  Result<std::optional<std::filesystem::path>> offered_file(const model::Member& member) const;
  Result<bool> is_local_kernel(const model::Member& member, const snapshot::SharedSource& source);
  Result<std::string> adopt_kernel(const model::Kernel& object);
  Result<void> make_kernel(model::Kernel& kernel);
  bool is_carried(const std::string& name) const;
  Result<void> drop_carried(const std::string& name);

  Ports& ports_;
  std::filesystem::path part_, offered_;
  image::BlobStore store_;
  std::map<std::string, snapshot::UnpackedFile>* files_ = nullptr;
  std::map<std::string, std::string> local_ids_;  // by the ID in the archive
  std::vector<image::BlobLease> leases_;
  std::vector<std::string> blobs_;
  std::optional<sys::FileLock> kernel_lock_;
  std::string made_kernel_;
  struct Link {
    std::filesystem::path file;
    std::string name;
  };
  std::vector<Link> links_;
};

}  // namespace cocoon::engine
