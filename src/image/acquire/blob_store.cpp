// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/blob_store.h"

#include <poll.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "image/acquire/digest.h"
#include "image/catalog/collect.h"
#include "store/blob_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::image {
namespace {

using sys::FileLock;

constexpr Milliseconds kPoll(20);

Result<std::optional<FileLock>> try_lock(const store::fs::path& path, FileLock::Mode mode) {
  auto lock = FileLock::take(path, mode, "image import", Milliseconds(0));
  if (lock) return std::optional<FileLock>(std::move(*lock));
  if (lock.error().kind == ErrorKind::kBusy) return std::optional<FileLock>();
  return pass(std::move(lock).error());
}

}  // namespace

BlobLock::~BlobLock() {
  if (lock_) release_shared(std::move(*lock_), path_);
}

bool BlobStore::is_whole(const model::Blob& blob) const {
  struct stat info {};
  return !damaged_.contains(blob.id) && stat((paths_.root() / blob.file).c_str(), &info) == 0 &&
         S_ISREG(info.st_mode) && info.st_size == blob.size;
}

Result<std::optional<BlobLease>> BlobStore::find(const std::string& id) {
  auto path = paths_.lock("blob", id);
  {
    // Most blobs asked for do not exist; they leave no lock file behind.
    std::lock_guard guard(mutex_);
    auto row = COCOON_TRY(store::get_blob(db_, id));
    if (!row || row->state != model::BlobState::kReady) return std::optional<BlobLease>();
  }
  auto file_lock = COCOON_TRY(try_lock(path, FileLock::Mode::kShared), "lock blob {}", id);
  if (!file_lock) return std::optional<BlobLease>();
  BlobLock lock(std::move(*file_lock), path);
  // Only what is read under the lock counts.
  std::lock_guard guard(mutex_);
  auto row = COCOON_TRY(store::get_blob(db_, id));
  bool ready = row && row->state == model::BlobState::kReady && is_whole(*row);
  if (!ready) return std::optional<BlobLease>();
  return std::optional<BlobLease>(BlobLease{std::move(*row), std::move(lock), false});
}

Result<std::optional<BlobLease>> BlobStore::find_like(const std::string& prefix,
                                                      std::string_view kind) {
  std::unique_lock guard(mutex_);
  auto blobs = COCOON_TRY(store::ready_blobs(db_, prefix));
  guard.unlock();
  for (const model::Blob& blob : blobs) {
    if (blob.kind != kind) continue;
    auto lease = COCOON_TRY(find(blob.id));
    if (lease) return lease;
  }
  return std::optional<BlobLease>();
}

Result<BlobLease> BlobStore::ensure(model::Blob blob, const store::fs::path& scratch,
                                    const Maker& maker) {
  COCOON_TRY(sys::make_dirs(paths_.lock("blob", blob.id).parent_path(), 0700));
  COCOON_TRY(sys::make_dirs(paths_.blobs(), 0700));
  bool made = false;
  bool waited = false;
  while (true) {
    COCOON_TRY(sys::check_cancelled());
    auto lease = COCOON_TRY(find(blob.id));
    if (lease) {
      lease->made = made;
      return std::move(*lease);
    }
    if (COCOON_TRY(make(blob, scratch, maker))) {
      made = true;
      continue;
    }
    // Somebody else works on it (or gc removes it): look again soon.
    if (waited && notice_ != nullptr) {
      notice_->tell(fmt::format("makes {} {}", blob.kind, blob.id));
    }
    waited = true;
    pollfd entry{sys::cancel_fd(), POLLIN, 0};
    poll(&entry, 1, static_cast<int>(kPoll.count()));
  }
}

// True when the blob is new and ready now; false when somebody else has the lock or was first.
Result<bool> BlobStore::make(model::Blob blob, const store::fs::path& scratch, const Maker& maker) {
  auto lock = COCOON_TRY(try_lock(paths_.lock("blob", blob.id), FileLock::Mode::kExclusive),
                         "lock blob {}", blob.id);
  if (!lock) return false;
  auto reserved = COCOON_TRY(reserve(blob));
  if (!reserved) return false;
  Order order{scratch / blob.id, lock->fd()};
  auto done = maker(order, blob);
  if (done) done = publish(blob, order.file, *reserved);
  if (!done) {
    sys::CancelShield shield;
    if (reserved->empty()) abandon(blob);
    lock->unlink();
    return pass(std::move(done).error());
  }
  std::lock_guard guard(mutex_);
  if (reserved->empty()) made_.push_back(blob.id);
  return true;
}

Result<int> BlobStore::recheck(const std::string& prefix, std::string_view kind) {
  std::unique_lock guard(mutex_);
  auto blobs = COCOON_TRY(store::ready_blobs(db_, prefix));
  guard.unlock();
  int damaged = 0;
  for (const model::Blob& blob : blobs) {
    if (blob.kind != kind || blob.sha256.empty()) continue;
    auto lease = COCOON_TRY(find(blob.id));  // gc leaves it alone
    auto digest = sha256_file(file(blob));
    if (digest && *digest == blob.sha256) continue;
    if (!digest && digest.error().saved_errno != ENOENT) return pass(std::move(digest).error());
    guard.lock();
    damaged_.insert(blob.id);
    guard.unlock();
    ++damaged;
  }
  return damaged;
}

// The row comes before the first side effect. nullopt when the blob is there by now; else the
// digest that its file must have, empty when it may have any.
Result<std::optional<std::string>> BlobStore::reserve(model::Blob& blob) {
  std::lock_guard guard(mutex_);
  auto row = COCOON_TRY(store::get_blob(db_, blob.id));
  bool ready = row && row->state == model::BlobState::kReady;
  if (ready && is_whole(*row)) return std::optional<std::string>();
  // Other bytes under this name would break every VM on it (spec 02 §14): only the same will do,
  // and the row stays as it is until they are there.
  if (ready && COCOON_TRY(store::blob_in_use(db_, blob.id))) {
    blob.file = row->file;
    if (!row->sha256.empty()) return std::optional(row->sha256);
    return damaged_in_use(blob);
  }
  blob.file = blob_file_name(blob.kind, blob.id);
  blob.created_at = utc_now();
  COCOON_TRY(store::put_pending_blob(db_, blob));
  sys::side_effect("reserve blob");
  return std::optional<std::string>("");
}

Failure BlobStore::damaged_in_use(const model::Blob& blob) const {
  return fail(ErrorKind::kCorrupt, "{} is damaged and in use: restore it from a backup",
              (paths_.root() / blob.file).native());
}

Result<void> BlobStore::publish(model::Blob& blob, const store::fs::path& file,
                                const std::string& must_be) {
  COCOON_TRY(sys::set_owner(file, 0, 0, 0444));
  struct stat info {};
  if (stat(file.c_str(), &info) != 0) return fail_errno(fmt::format("stat {}", file.native()));
  blob.size = info.st_size;
  // A disk is mostly holes, which hashing would read one by one; its ID is its input's digest.
  if (blob.kind != "disk") {
    blob.sha256 = COCOON_TRY(sha256_file(file), "publish blob {}", blob.id);
  }
  if (!must_be.empty() && must_be != blob.sha256) return damaged_in_use(blob);
  COCOON_TRY(sys::sync_file(file));
  COCOON_TRY(sys::rename_path(file, paths_.root() / blob.file));
  COCOON_TRY(sys::sync_dir(paths_.blobs()));
  sys::side_effect("publish blob file");
  std::lock_guard guard(mutex_);
  damaged_.erase(blob.id);
  if (!must_be.empty()) return {};  // the row says so already
  COCOON_TRY(store::set_blob_ready(db_, blob));
  sys::side_effect("publish blob row");
  return {};
}

// Under the blob's exclusive lock: nobody else can know the file or the row.
void BlobStore::abandon(const model::Blob& blob) {
  ignore(sys::remove_file(paths_.root() / blob.file), "undo of a blob; gc removes it");
  std::lock_guard guard(mutex_);
  ignore(store::delete_blob(db_, blob.id), "undo of a blob; gc removes it");
}

void BlobStore::undo() {
  sys::CancelShield shield;
  std::lock_guard guard(mutex_);
  for (const std::string& id : made_) {
    ignore(remove_unused_blob(db_, paths_, id), "undo of an import; gc removes it");
  }
  made_.clear();
}

}  // namespace cocoon::image
