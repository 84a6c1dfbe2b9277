// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect.h"

#include "cli/kernel/kernel.h"
#include "engine/kernel_list.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

Result<nlohmann::json> inspect(App& app, const std::string& name) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  if (ports == nullptr || name.empty()) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kKernelNotFound, name);
  }
  model::KernelName kernel = COCOON_TRY(engine::inspect_kernel(*ports, name));
  return model::to_public_json(kernel);
}

}  // namespace

Command kernel_inspect_command() {
  return inspect_command("kernel", "NAME", "a kernel", Names::kKernel, inspect);
}

}  // namespace cocoon::cli
