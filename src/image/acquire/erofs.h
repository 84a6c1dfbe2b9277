// SPDX-License-Identifier: Apache-2.0
// mkfs.erofs: what the installed one can do, and running it (spec 02 §13).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "image/acquire/byte_source.h"
#include "sys/files.h"

namespace cocoon::image {

struct ErofsTool {
  std::string program = "mkfs.erofs";
  std::string version;      // "1.5", "1.8.10"
  std::string compression;  // lz4hc, lz4, "lz4hc,3", none
  bool has_block_size = false;
  // From 1.8 on: --mkfs-time, and other bytes for the same tree.
  bool has_mkfs_time = false;
  // --tar with --aufs without the errors of the first versions: 1.8.9 and later.
  bool has_tar = false;

  // "mkfs.erofs 1.5"
  std::string name() const { return program + " " + version; }
  // What a blob made by it is called after the digest: "staged1-lz4hc". Algorithm of ours, family
  // of mkfs.erofs versions, compression.
  std::string staged_id() const;
  std::string tar_id() const;
};

// Asks the installed mkfs.erofs. kUnsupported when there is none; kInvalid for a compression that
// it does not know.
Result<ErofsTool> probe_erofs(const std::string& compression);
// The part of it that reads the answer; pure.
Result<ErofsTool> parse_erofs_help(const std::string& text, const std::string& compression);

struct ErofsJob {
  sys::fs::path output;  // must not exist
  sys::fs::path work;    // for temporary files of the program
  std::string uuid;
  std::int64_t newest = 0;     // seconds: build time, and the latest time of any file
  std::int64_t inodes = 0;     // that it must have; 0: not known
  bool no_times = false;       // every file gets time 0, and smaller inodes
  std::vector<int> keep_open;  // lock descriptors that the program inherits
};

// Makes a file system from a directory tree. The result is fsynced and its superblock checked.
Result<void> build_erofs(const ErofsTool& tool, const ErofsJob& job, const sys::fs::path& tree);

// Makes one straight from a tar stream, with AUFS whiteouts converted. Needs has_tar.
Result<void> build_erofs_from_tar(const ErofsTool& tool, const ErofsJob& job, ByteSource& tar);

}  // namespace cocoon::image
