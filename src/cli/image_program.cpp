// SPDX-License-Identifier: Apache-2.0
#include "cli/image_program.h"

#include "cli/commands.h"
#include "cli/image/import_body.h"
#include "cli/image/pull_body.h"
#include "cli/kernel/import_body.h"
#include "cli/snapshot/archive_body.h"

namespace cocoon::cli {

Program image_program() {
  Program program = cocoon_program({.image_pull = run_image_pull,
                                    .image_import = run_image_import,
                                    .kernel_import = run_kernel_import,
                                    .snapshot_export = run_snapshot_export,
                                    .snapshot_import = run_snapshot_import,
                                    .snapshot_verify = run_snapshot_verify,
                                    .snapshot_directory = use_snapshot_directory,
                                    .verify_snapshot = verify_before_restore});
  program.is_helper = true;
  return program;
}

}  // namespace cocoon::cli
