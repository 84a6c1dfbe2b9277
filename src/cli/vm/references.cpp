// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/references.h"

#include "cli/batch_report.h"
#include "engine/vm_view.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

Failure not_found(const std::string& reference) {
  return fail(ErrorKind::kNotFound, "{}: {}", model::kVmNotFound, reference);
}

}  // namespace

Result<FoundVm> find_vm(App& app, const std::string& reference) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  if (ports == nullptr) return not_found(reference);
  return FoundVm{ports, COCOON_TRY(engine::inspect_vm(*ports, reference))};
}

Result<int> run_over_vms(App& app, const std::vector<std::string>& references,
                         const std::string& format, std::string_view verb, const VmWork& work,
                         engine::Pace pace) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  auto resolve = [ports](const std::vector<std::string>& some) -> Result<std::vector<std::string>> {
    if (ports == nullptr) return not_found(some.front());
    return engine::resolve_vms(*ports, some);
  };
  auto ids = resolve(references);
  if (!ids) {
    auto look_up = [&resolve](const std::string& one) -> Result<void> {
      COCOON_TRY(resolve({one}));
      return {};
    };
    return report_batch(app, nothing_done(references, ids.error(), look_up), format);
  }
  auto one = [&](engine::Ports& own, const std::string& id) -> Result<void> {
    COCOON_TRY(work(own, id), "{} {}", verb, id);
    return {};
  };
  auto result = engine::run_batch(*ports, *ids, one, pace);
  return report_batch(app, result, format);
}

}  // namespace cocoon::cli
