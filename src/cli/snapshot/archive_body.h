// SPDX-License-Identifier: Apache-2.0
// The bodies of `snapshot export|import|verify`: in cocoon-image only.
#pragma once

#include "cli/snapshot/snapshot.h"

namespace cocoon::cli {

Result<int> run_snapshot_export(App& app, const SnapshotExportFlags& flags,
                                const Arguments& arguments);
Result<int> run_snapshot_import(App& app, const SnapshotImportFlags& flags,
                                const Arguments& arguments);
Result<int> run_snapshot_verify(App& app, const SnapshotVerifyFlags& flags,
                                const Arguments& arguments);

}  // namespace cocoon::cli
