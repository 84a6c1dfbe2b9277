// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect.h"

#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/vm_view.h"

namespace cocoon::cli {
namespace {

Result<nlohmann::json> inspect(App& app, const std::string& reference) {
  FoundVm found = COCOON_TRY(find_vm(app, reference));
  return engine::inspect_json(*found.ports, found.vm);
}

}  // namespace

Command vm_inspect_command() { return inspect_command("vm", "VM", "a VM", Names::kVm, inspect); }

}  // namespace cocoon::cli
