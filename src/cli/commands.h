// SPDX-License-Identifier: Apache-2.0
// The one list of all commands.
#pragma once

#include "cli/command.h"
#include "cli/image/image.h"
#include "cli/kernel/kernel.h"
#include "cli/snapshot/snapshot.h"
#include "cli/vm/vm.h"

namespace cocoon::cli {

// Bodies that only cocoon-image has.
struct HelperBodies {
  ImagePullBody image_pull;
  ImageImportBody image_import;
  KernelImportBody kernel_import;
  SnapshotExportBody snapshot_export;
  SnapshotImportBody snapshot_import;
  SnapshotVerifyBody snapshot_verify;
  SnapshotDirectoryBody snapshot_directory;
  VerifySnapshotBody verify_snapshot;
};

// Every command. Without bodies, those of the helper are run by starting it.
Program cocoon_program(const HelperBodies& bodies = {});

}  // namespace cocoon::cli
