// SPDX-License-Identifier: Apache-2.0
// The bodies of `snapshot export|import|verify`, of `vm clone --from-dir` and of `vm restore
// --verify`: in cocoon-image only.
#pragma once

#include "cli/snapshot/snapshot.h"
#include "cli/vm/vm.h"

namespace cocoon::cli {

Result<int> run_snapshot_export(App& app, const SnapshotExportFlags& flags,
                                const Arguments& arguments);
Result<int> run_snapshot_import(App& app, const SnapshotImportFlags& flags,
                                const Arguments& arguments);
Result<int> run_snapshot_verify(App& app, const SnapshotVerifyFlags& flags,
                                const Arguments& arguments);
Result<int> use_snapshot_directory(App& app, const SnapshotDirectory& directory,
                                   const UseSnapshot& use);
Result<void> verify_before_restore(App& app, engine::Ports& ports, const std::string& id);

}  // namespace cocoon::cli
