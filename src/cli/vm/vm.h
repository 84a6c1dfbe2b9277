// SPDX-License-Identifier: Apache-2.0
// The commands of the group "vm".
#pragma once

#include <functional>
#include <string>

#include "cli/command.h"
#include "engine/ports.h"
#include "model/snapshot.h"

namespace cocoon::cli {

// A directory of `snapshot export --to-dir` that is used as a snapshot.
struct SnapshotDirectory {
  std::string path;
  std::string blobs;  // where layers may be that are not here; empty: nowhere
  bool assume_same_blobs = false;
  bool trust = false;
  bool pull = false;  // the image is fetched first where it is not here
};
// Takes the snapshot in for as long as `use` runs, whose exit code it returns.
using UseSnapshot = std::function<Result<int>(engine::Ports&, const model::Snapshot&)>;
using SnapshotDirectoryBody =
    std::function<Result<int>(App&, const SnapshotDirectory&, const UseSnapshot&)>;
// Compares the digests of a snapshot's members.
using VerifySnapshotBody =
    std::function<Result<void>(App&, engine::Ports&, const std::string& snapshot_id)>;

// Both bodies live in cocoon-image; cocoon passes none, and starts that for --from-dir and
// --verify.
Command vm_clone_command(const SnapshotDirectoryBody& from_dir);
Command vm_restore_command(const VerifySnapshotBody& verify);
Command vm_console_command();
Command vm_cp_command();
Command vm_create_command();
Command vm_debug_command();
Command vm_exec_command();
Command vm_hibernate_command();
Command vm_inspect_command();
Command vm_list_command();
Command vm_logs_command();
Command vm_net_command();
Command vm_reseed_command();
Command vm_restart_command();
Command vm_rm_command();
Command vm_run_command();
Command vm_start_command();
Command vm_status_command();
Command vm_stop_command();
Command vm_wait_command();

}  // namespace cocoon::cli
