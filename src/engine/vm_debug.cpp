// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_debug.h"

#include "engine/vm_start.h"
#include "engine/vm_view.h"

namespace cocoon::engine {

Result<DebugPlan> plan_debug(Ports& ports, const CreateRequest& request) {
  Planned planned = COCOON_TRY(plan_create(ports, request));
  auto choice = COCOON_TRY(choose_accel(ports, planned.vm));
  DebugPlan plan;
  plan.accel = vmm::accel_name(choice.accel);
  plan.launch = COCOON_TRY(planned.backend->plan_launch(planned.vm, choice.accel));
  plan.dir = vm_dir(ports, planned.vm);
  plan.vm = std::move(planned.vm);
  return plan;
}

}  // namespace cocoon::engine
