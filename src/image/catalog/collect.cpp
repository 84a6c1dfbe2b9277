// SPDX-License-Identifier: Apache-2.0
#include "image/catalog/collect.h"

#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <set>

#include "store/blob_rows.h"
#include "store/kernel_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/file_lock.h"
#include "sys/files.h"

namespace cocoon::image {
namespace {

using sys::FileLock;

constexpr std::string_view kErofsSuffix = ".erofs";
constexpr std::string_view kDiskSuffix = ".raw";

// The lock, or nullopt when somebody holds it.
Result<std::optional<FileLock>> try_lock(const store::fs::path& path) {
  auto lock = FileLock::take(path, FileLock::Mode::kExclusive, "gc", Milliseconds(0));
  if (lock) return std::optional<FileLock>(std::move(*lock));
  if (lock.error().kind == ErrorKind::kBusy) return std::optional<FileLock>();
  return pass(std::move(lock).error());
}

// For a dry run: is the lock free, without making a lock file that was not there?
Result<bool> is_free(const store::fs::path& path) {
  if (!sys::exists(path)) return true;
  auto lock = COCOON_TRY(try_lock(path));
  return lock.has_value();
}

enum class Outcome { kRemoved, kInUse, kBusy };

// Unlink, then drop the row, under the lock (design §5).
Result<Outcome> remove_blob(store::Db& db, const store::Paths& paths, const std::string& id,
                            const std::string& file) {
  auto lock_path = paths.lock("blob", id);
  COCOON_TRY(sys::make_dirs(lock_path.parent_path(), 0700));
  auto lock = COCOON_TRY(try_lock(lock_path), "lock blob {}", id);
  if (!lock) return Outcome::kBusy;
  bool ours = COCOON_TRY(store::claim_unused_blob(db, id), "collect blob {}", id);
  auto row = COCOON_TRY(store::get_blob(db, id));
  if (!ours && row) return Outcome::kInUse;
  COCOON_TRY(sys::remove_file(paths.root() / file), "collect blob {}", id);
  sys::side_effect("remove blob file");
  COCOON_TRY(store::delete_blob(db, id), "collect blob {}", id);
  sys::side_effect("remove blob row");
  lock->unlink();
  sys::side_effect("remove blob lock");
  return Outcome::kRemoved;
}

Result<Outcome> remove_kernel(store::Db& db, const store::Paths& paths, const std::string& id) {
  auto lock_path = paths.lock("kernel", id);
  COCOON_TRY(sys::make_dirs(lock_path.parent_path(), 0700));
  auto lock = COCOON_TRY(try_lock(lock_path), "lock kernel {}", id);
  if (!lock) return Outcome::kBusy;
  bool ours = COCOON_TRY(store::claim_unused_kernel(db, id), "collect kernel {}", id);
  if (!ours && COCOON_TRY(store::kernel_in_use(db, id))) return Outcome::kInUse;
  COCOON_TRY(sys::remove_tree(paths.kernel(id)), "collect kernel {}", id);
  COCOON_TRY(store::delete_kernel(db, id), "collect kernel {}", id);
  sys::side_effect("remove kernel row");
  lock->unlink();
  sys::side_effect("remove kernel lock");
  return Outcome::kRemoved;
}

Result<Outcome> remove_download(const store::fs::path& lock_path, const store::fs::path& file) {
  auto lock = COCOON_TRY(try_lock(lock_path));
  if (!lock) return Outcome::kBusy;
  COCOON_TRY(sys::remove_file(file));
  lock->unlink();
  return Outcome::kRemoved;
}

void note(Collected& collected, Outcome outcome, const std::string& name, std::int64_t bytes) {
  if (outcome == Outcome::kRemoved) collected.removed.push_back({name, bytes});
  if (outcome == Outcome::kBusy) collected.skipped.push_back(name + ": in use by another command");
}

// Every blob that may be garbage, with its file: unused or unfinished rows, and files and locks
// that have no row.
Result<std::map<std::string, std::string>> blob_candidates(store::Db& db,
                                                           const store::Paths& paths) {
  std::map<std::string, std::string> candidates;
  std::set<std::string> known;
  for (const model::Blob& blob : COCOON_TRY(store::list_blobs(db))) {
    known.insert(blob.id);
    bool used =
        blob.state == model::BlobState::kReady && COCOON_TRY(store::blob_in_use(db, blob.id));
    if (!used) candidates[blob.id] = blob.file;
  }
  for (const std::string& name : COCOON_TRY(sys::list_dir(paths.blobs()))) {
    std::string id = name;
    for (std::string_view suffix : {kErofsSuffix, kDiskSuffix}) {
      if (id.ends_with(suffix)) id.resize(id.size() - suffix.size());
    }
    if (!known.contains(id)) candidates[id] = "blobs/" + name;
  }
  for (const std::string& id : COCOON_TRY(sys::list_dir(paths.lock("blob", "").parent_path()))) {
    if (!known.contains(id)) candidates.try_emplace(id, blob_file_name("layer", id));
  }
  return candidates;
}

std::int64_t tree_bytes(const store::fs::path& path) {
  std::int64_t bytes = sys::allocated_bytes(path);
  std::error_code error;
  auto it = store::fs::recursive_directory_iterator(path, error);
  for (; !error && it != store::fs::recursive_directory_iterator(); it.increment(error)) {
    bytes += sys::allocated_bytes(it->path());
  }
  return bytes;
}

// Locks that dead commands left on things that are in use.
Result<void> drop_dead_locks(const store::fs::path& dir) {
  for (const std::string& id : COCOON_TRY(sys::list_dir(dir))) {
    auto lock = COCOON_TRY(try_lock(dir / id));
    if (lock) lock->unlink();
  }
  return {};
}

}  // namespace

std::string blob_file_name(std::string_view kind, std::string_view id) {
  std::string_view suffix = kind == "boot" ? "" : kind == "disk" ? kDiskSuffix : kErofsSuffix;
  return fmt::format("blobs/{}{}", id, suffix);
}

Result<sys::UniqueFd> lock_work_parent(const store::Paths& paths, bool exclusive) {
  sys::UniqueFd fd = COCOON_TRY(sys::open_dir(paths.temp()));
  Deadline deadline = deadline_in(Milliseconds(10'000));
  // Held for moments only, so short sleeps do.
  while (flock(fd.get(), (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return fail_errno(fmt::format("lock {}", paths.temp().native()));
    }
    if (time_left(deadline).count() == 0) {
      return fail(ErrorKind::kBusy, "{} is locked by another command", paths.temp().native());
    }
    COCOON_TRY(sys::check_cancelled());
    poll(nullptr, 0, 5);
  }
  return fd;
}

void release_shared(sys::FileLock lock, const store::fs::path& path) {
  release_download(std::move(lock), path, {});
}

void release_download(sys::FileLock lock, const store::fs::path& path,
                      const store::fs::path& file) {
  // Whoever gets it exclusively is the last one. The path is compared, since the change of mode is
  // not atomic: another may have been the last one, and a third may have made a new file.
  if (flock(lock.fd(), LOCK_EX | LOCK_NB) != 0) return;
  struct stat held {};
  struct stat named {};
  bool same = fstat(lock.fd(), &held) == 0 && lstat(path.c_str(), &named) == 0 &&
              held.st_dev == named.st_dev && held.st_ino == named.st_ino;
  if (!same) return;
  if (!file.empty()) ignore(sys::remove_file(file), "gc removes it");
  lock.unlink();
  sys::side_effect("remove lock");
}

Result<bool> remove_unused_blob(store::Db& db, const store::Paths& paths, const std::string& id) {
  auto blob = COCOON_TRY(store::get_blob(db, id));
  std::string file = blob ? blob->file : blob_file_name("layer", id);
  return COCOON_TRY(remove_blob(db, paths, id, file)) == Outcome::kRemoved;
}

Result<Collected> collect_blobs(store::Db& db, const store::Paths& paths, bool dry_run) {
  Collected collected;
  for (const auto& [id, file] : COCOON_TRY(blob_candidates(db, paths), "look for unused blobs")) {
    auto bytes = sys::allocated_bytes(paths.root() / file);
    Outcome outcome = Outcome::kRemoved;
    if (!dry_run) {
      outcome = COCOON_TRY(remove_blob(db, paths, id, file));
    } else if (!COCOON_TRY(is_free(paths.lock("blob", id)))) {
      outcome = Outcome::kBusy;
    }
    note(collected, outcome, id, bytes);
  }
  if (!dry_run) COCOON_TRY(drop_dead_locks(paths.lock("blob", "").parent_path()));
  return collected;
}

Result<Collected> collect_kernels(store::Db& db, const store::Paths& paths, bool dry_run) {
  std::set<std::string> ids;
  for (const std::string& id : COCOON_TRY(store::list_kernel_ids(db))) ids.insert(id);
  for (const std::string& id : COCOON_TRY(sys::list_dir(paths.kernels()))) ids.insert(id);
  auto lock_dir = paths.lock("kernel", "").parent_path();
  for (const std::string& id : COCOON_TRY(sys::list_dir(lock_dir))) ids.insert(id);
  Collected collected;
  for (const std::string& id : ids) {
    auto ready = COCOON_TRY(store::get_kernel(db, id));
    if (ready && COCOON_TRY(store::kernel_in_use(db, id))) continue;
    auto bytes = tree_bytes(paths.kernel(id));
    Outcome outcome = Outcome::kRemoved;
    if (!dry_run) {
      outcome = COCOON_TRY(remove_kernel(db, paths, id));
    } else if (!COCOON_TRY(is_free(paths.lock("kernel", id)))) {
      outcome = Outcome::kBusy;
    }
    note(collected, outcome, id, bytes);
  }
  if (!dry_run) COCOON_TRY(drop_dead_locks(lock_dir));
  return collected;
}

Result<Collected> collect_temp(const store::Paths& paths, bool dry_run) {
  Collected collected;
  auto names = COCOON_TRY(sys::list_dir(paths.temp()), "look for dead work directories");
  if (names.empty()) return collected;
  auto gate = COCOON_TRY(lock_work_parent(paths, true), "look for dead work directories");
  for (const std::string& name : names) {
    if (!name.starts_with(kWorkPrefix)) continue;
    auto dir = paths.temp() / name;
    auto lock_path = dir / kWorkLock;
    if (!COCOON_TRY(is_free(lock_path))) {
      collected.skipped.push_back(name + ": in use by another command");
      continue;
    }
    auto bytes = tree_bytes(dir);
    if (!dry_run) COCOON_TRY(sys::remove_tree(dir), "collect {}", name);
    collected.removed.push_back({name, bytes});
  }
  return collected;
}

Result<Collected> collect_downloads(const store::Paths& paths, bool dry_run) {
  Collected collected;
  auto lock_dir = paths.lock(kDownloadLocks, "").parent_path();
  for (const std::string& name : COCOON_TRY(sys::list_dir(paths.downloads()))) {
    auto file = paths.downloads() / name;
    // The notes on the parts of a file go with it, under its lock.
    bool is_note = name.ends_with(kDownloadNotes);
    auto lock_path = lock_dir / name.substr(0, name.size() - (is_note ? kDownloadNotes.size() : 0));
    auto bytes = sys::allocated_bytes(file);
    Outcome outcome = Outcome::kRemoved;
    if (dry_run) {
      if (!COCOON_TRY(is_free(lock_path))) outcome = Outcome::kBusy;
    } else {
      COCOON_TRY(sys::make_dirs(lock_dir, 0700));
      outcome = COCOON_TRY(remove_download(lock_path, file), "collect download {}", name);
    }
    note(collected, outcome, name, bytes);
  }
  if (!dry_run) COCOON_TRY(drop_dead_locks(lock_dir));
  return collected;
}

}  // namespace cocoon::image
