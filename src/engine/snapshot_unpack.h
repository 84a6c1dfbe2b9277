// SPDX-License-Identifier: Apache-2.0
// From where a snapshot comes in: a file, a stream or a directory, into a directory of ours. Links
// archive libraries: cocoon_engine_acquire only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"
#include "snapshot/archive/unpack.h"

namespace cocoon::engine {

struct SnapshotSource {
  std::string file;                 // "-": standard input
  std::filesystem::path directory;  // instead of a file; empty: none
  int standard_input = 0;
  // How far it is, for the user: bytes read of a file or a stream, and how many there are (-1: not
  // known). May be empty.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
};

// Unpacks it into `part`, by reflinks from a directory where the file system can. gzip and zstd are
// known by their first bytes. kInvalid: no regular file, no directory; kCorrupt, kSystem,
// kInterrupted as unpack_archive.
Result<snapshot::Unpacked> unpack_snapshot(const SnapshotSource& source,
                                           const std::filesystem::path& part);

}  // namespace cocoon::engine
