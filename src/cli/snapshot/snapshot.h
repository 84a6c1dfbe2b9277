// SPDX-License-Identifier: Apache-2.0
// The commands of the group "snapshot".
#pragma once

#include <functional>
#include <string>

#include "cli/command.h"

namespace cocoon::cli {

struct SnapshotExportFlags {
  std::string output;
  std::string to_dir;
  bool gzip = false;
  bool zstd = false;
  bool force = false;
  bool with_image = false;
  bool compat = false;
};

struct SnapshotImportFlags {
  std::string name;
  std::string description;
  std::string from_dir;
  std::string blobs;
  bool assume_same_blobs = false;
  bool trust = false;
  std::string format;
};

struct SnapshotVerifyFlags {
  std::string format;
};

// The bodies of these live in cocoon-image; cocoon passes none.
using SnapshotExportBody =
    std::function<Result<int>(App&, const SnapshotExportFlags&, const Arguments&)>;
using SnapshotImportBody =
    std::function<Result<int>(App&, const SnapshotImportFlags&, const Arguments&)>;
using SnapshotVerifyBody =
    std::function<Result<int>(App&, const SnapshotVerifyFlags&, const Arguments&)>;

Command snapshot_export_command(const SnapshotExportBody& body);
Command snapshot_import_command(const SnapshotImportBody& body);
Command snapshot_inspect_command();
Command snapshot_list_command();
Command snapshot_rm_command();
Command snapshot_save_command();
Command snapshot_verify_command(const SnapshotVerifyBody& body);

}  // namespace cocoon::cli
