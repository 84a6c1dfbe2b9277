// SPDX-License-Identifier: Apache-2.0
// Making blobs: each once, by one process, visible only when complete, and never taken away from
// the import that counts on it (design §5).
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "image/acquire/wait_notice.h"
#include "model/image.h"
#include "store/paths.h"
#include "sys/file_lock.h"

namespace cocoon::store {
class Db;
}

namespace cocoon::image {

// The shared lock that keeps gc away from a blob. Its file goes with the last holder.
class [[nodiscard]] BlobLock {
 public:
  BlobLock(sys::FileLock lock, store::fs::path path)
      : lock_(std::move(lock)), path_(std::move(path)) {}
  BlobLock(BlobLock&& other) noexcept
      : lock_(std::exchange(other.lock_, std::nullopt)), path_(std::move(other.path_)) {}
  BlobLock& operator=(BlobLock&& other) noexcept {
    std::swap(lock_, other.lock_);
    std::swap(path_, other.path_);
    return *this;
  }
  BlobLock(const BlobLock&) = delete;
  BlobLock& operator=(const BlobLock&) = delete;
  ~BlobLock();

 private:
  std::optional<sys::FileLock> lock_;
  store::fs::path path_;
};

// A ready blob that stays. Hold it until a row pins the blob.
struct BlobLease {
  model::Blob blob;
  BlobLock lock;
  bool made = false;  // by us, just now
};

// Thread-safe: layers convert in parallel over the one database handle.
class BlobStore {
 public:
  // `notice`, if there is one, is told when another process turns out to make what we want.
  BlobStore(store::Db& db, store::Paths paths, WaitNotice* notice = nullptr)
      : db_(db), paths_(std::move(paths)), notice_(notice) {}

  // What to make and where.
  struct Order {
    store::fs::path file;  // to be made; on the file system of the blobs
    int lock_fd = -1;      // for programs that do the work
  };
  // Makes order.file and fills in the blob's facts (tool, uuid, boot entries …).
  using Maker = std::function<Result<void>(const Order& order, model::Blob& blob)>;

  // The blob, made if need be. While another process makes the same one, waits for it. `scratch` is
  // where the file is made; `blob` says id, kind and converter.
  Result<BlobLease> ensure(model::Blob blob, const store::fs::path& scratch, const Maker& make);

  // The blob if it is ready; nullopt when it is not.
  Result<std::optional<BlobLease>> find(const std::string& id);

  // A ready blob of this kind whose ID starts so: made from the same content by any converter. What
  // exists is used, since blobs that a VM may see never change.
  Result<std::optional<BlobLease>> find_like(const std::string& prefix, std::string_view kind);

  // Reads the ready blobs of this kind whose ID starts so, and compares them with their records.
  // Damaged ones do not count as being there from now on: ensure() makes them anew, one that is in
  // use only if the same bytes come out. Returns how many are damaged.
  Result<int> recheck(const std::string& prefix, std::string_view kind);

  // Where a blob lies.
  store::fs::path file(const model::Blob& blob) const { return paths_.root() / blob.file; }

  // Takes back what ensure() made, for an import that failed. The leases must be gone by then.
  void undo();
  // The rows that pin the blobs are committed.
  void keep() { made_.clear(); }

 private:
  Result<bool> make(model::Blob blob, const store::fs::path& scratch, const Maker& maker);
  Result<std::optional<std::string>> reserve(model::Blob& blob);
  Failure damaged_in_use(const model::Blob& blob) const;
  Result<void> publish(model::Blob& blob, const store::fs::path& file, const std::string& must_be);
  void abandon(const model::Blob& blob);
  bool is_whole(const model::Blob& blob) const;

  store::Db& db_;
  store::Paths paths_;
  WaitNotice* notice_;
  std::mutex mutex_;  // of db_ and what follows
  std::vector<std::string> made_;
  std::set<std::string> damaged_;
};

}  // namespace cocoon::image
