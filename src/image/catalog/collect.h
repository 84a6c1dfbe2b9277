// SPDX-License-Identifier: Apache-2.0
// The garbage of images and kernels: what dead imports left and what nothing uses any more. The
// engine's gc decides when; these functions never wait for a live importer and never take anything
// away from one (design §5): an importer holds a lock on each blob it relies on until a row pins
// it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "store/paths.h"
#include "sys/fd.h"
#include "sys/file_lock.h"

namespace cocoon::store {
class Db;
}

namespace cocoon::image {

struct Collected {
  struct Item {
    std::string name;
    std::int64_t bytes = 0;  // given back on disk
  };
  std::vector<Item> removed;         // with dry_run: what would be removed
  std::vector<std::string> skipped;  // "<name>: <why>": somebody works on it
};

// Kernel objects that no name and no VM needs, and half-made ones. Call before collect_blobs: an
// object pins its module tree.
Result<Collected> collect_kernels(store::Db& db, const store::Paths& paths, bool dry_run);

// Blobs that no image, VM or kernel rests on, half-made ones, and files and locks without a row.
Result<Collected> collect_blobs(store::Db& db, const store::Paths& paths, bool dry_run);

// Work directories of imports that are no longer running.
Result<Collected> collect_temp(const store::Paths& paths, bool dry_run);

// Parts of downloads that no running pull counts on.
Result<Collected> collect_downloads(const store::Paths& paths, bool dry_run);

// The locks of downloads: locks/download/<name of the file in downloads/>, held shared by whoever
// counts on the file.
inline constexpr std::string_view kDownloadLocks = "download";
// Beside a file that comes in parts: which of them are here.
inline constexpr std::string_view kDownloadNotes = ".parts";
// Gives such a lock back. When nobody else holds it, it goes, and with it `file` unless empty.
void release_download(sys::FileLock lock, const store::fs::path& path, const store::fs::path& file);

// Removes one blob if nothing needs it and nobody holds it: for an import that undoes its work.
// False when it stays.
Result<bool> remove_unused_blob(store::Db& db, const store::Paths& paths, const std::string& id);

// Work directories are named so; their `lock` file is held by the live import.
inline constexpr std::string_view kWorkPrefix = "import-";
inline constexpr std::string_view kWorkLock = "lock";
// The directory of work directories, locked: shared while one is made and its own lock taken,
// exclusively while dead ones are looked for, so that one without a held lock is certainly dead.
Result<sys::UniqueFd> lock_work_parent(const store::Paths& paths, bool exclusive);

// Gives a lock back that was held shared; its file goes unless somebody else holds it, too.
void release_shared(sys::FileLock lock, const store::fs::path& path);

// The file of a blob relative to the root directory: .erofs, .raw for a disk, boot
// files have no suffix.
std::string blob_file_name(std::string_view kind, std::string_view id);

}  // namespace cocoon::image
