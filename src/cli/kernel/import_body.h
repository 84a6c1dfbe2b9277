// SPDX-License-Identifier: Apache-2.0
// `kernel import` in cocoon-image.
#pragma once

#include "cli/kernel/kernel.h"

namespace cocoon::cli {

Result<int> run_kernel_import(App& app, const KernelImportFlags& flags, const Arguments& arguments);

}  // namespace cocoon::cli
