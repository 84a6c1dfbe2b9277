// SPDX-License-Identifier: Apache-2.0
#include "cli/helper_program.h"

#include "cli/commands.h"
#include "cli/image/import_body.h"

namespace cocoon::cli {

Program helper_program() {
  Program program = cocoon_program({.image_import = run_image_import, .kernel_import = {}});
  program.is_helper = true;
  return program;
}

}  // namespace cocoon::cli
