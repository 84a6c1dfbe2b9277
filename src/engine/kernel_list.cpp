// SPDX-License-Identifier: Apache-2.0
#include "engine/kernel_list.h"

#include <set>

#include "model/wording.h"
#include "store/kernel_rows.h"

namespace cocoon::engine {

Result<std::vector<model::KernelName>> list_kernels(Ports& ports) {
  return store::list_kernel_names(ports.db);
}

Result<model::KernelName> inspect_kernel(Ports& ports, const std::string& name) {
  auto named = COCOON_TRY(store::get_kernel_name(ports.db, name));
  if (named) return std::move(*named);
  return fail(ErrorKind::kNotFound, "{}: {}", model::kKernelNotFound,
              name.empty() ? "there is no default kernel" : name);
}

Result<void> set_default_kernel(Ports& ports, const std::string& name) {
  store::Transaction tx = COCOON_TRY(ports.db.begin());
  if (!COCOON_TRY(store::set_default_kernel(ports.db, name))) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kKernelNotFound, name);
  }
  return tx.commit();
}

Result<std::vector<RemovedKernel>> remove_kernels(Ports& ports,
                                                  const std::vector<std::string>& names,
                                                  bool strict) {
  store::Transaction tx = COCOON_TRY(ports.db.begin());
  std::vector<RemovedKernel> removed;
  for (const std::string& name : std::set<std::string>(names.begin(), names.end())) {
    auto named = name.empty() ? std::optional<model::KernelName>()
                              : COCOON_TRY(store::get_kernel_name(ports.db, name));
    if (!named) return fail(ErrorKind::kNotFound, "{}: {}", model::kKernelNotFound, name);
    auto vms = COCOON_TRY(store::vms_using_kernel(ports.db, named->kernel.id));
    if (strict && !vms.empty()) {
      return fail(ErrorKind::kConflict, "kernel \"{}\" is in use by {}", name,
                  fmt::join(vms, ", "));
    }
    COCOON_TRY(store::delete_kernel_name(ports.db, name));
    removed.push_back({name, named->is_default, std::move(vms)});
  }
  COCOON_TRY(tx.commit());
  return removed;
}

}  // namespace cocoon::engine
