// SPDX-License-Identifier: Apache-2.0
#include "cli/kernel/kernel_table.h"

#include "base/clock.h"
#include "base/units.h"
#include "cli/table.h"

namespace cocoon::cli {

std::string kernel_table(const std::vector<model::KernelName>& kernels) {
  if (kernels.empty()) return "No kernels found.\n";
  Table table({"NAME", "VERSION", "SIZE", "DEFAULT", "CREATED"});
  for (const model::KernelName& named : kernels) {
    const model::Kernel& kernel = named.kernel;
    std::int64_t size = model::total_size(kernel);
    table.add({named.name, kernel.version.empty() ? "-" : kernel.version, human_size(size),
               named.is_default ? "*" : "", local_time(kernel.created_at)});
  }
  return table.render();
}

}  // namespace cocoon::cli
