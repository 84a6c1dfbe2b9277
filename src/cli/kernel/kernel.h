// SPDX-License-Identifier: Apache-2.0
// The commands of the group "kernel".
#pragma once

#include <functional>
#include <string>

#include "cli/command.h"

namespace cocoon::cli {

struct KernelImportFlags {
  std::string kernel;
  std::string modules;
  std::string format;
};
// The body of `kernel import` lives in cocoon-image; cocoon passes none.
using KernelImportBody =
    std::function<Result<int>(App&, const KernelImportFlags&, const Arguments&)>;

Command kernel_default_command();
Command kernel_import_command(const KernelImportBody& body);
Command kernel_inspect_command();
Command kernel_list_command();
Command kernel_rm_command();

}  // namespace cocoon::cli
