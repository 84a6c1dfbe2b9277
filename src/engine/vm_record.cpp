// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_record.h"

#include "model/wording.h"
#include "store/vm_rows.h"

namespace cocoon::engine {

Result<void> store_vm(Ports& ports, const model::Vm& vm, bool durable) {
  if (durable) COCOON_TRY(ports.db.set_durable(true));
  auto tx = COCOON_TRY(ports.db.begin());
  COCOON_TRY(store::update_vm(ports.db, vm));
  COCOON_TRY(tx.commit());
  return durable ? ports.db.set_durable(false) : Result<void>();
}

Result<model::Vm> change_row(Ports& ports, const std::string& id,
                             const std::function<void(model::Vm&)>& change, bool durable) {
  if (durable) COCOON_TRY(ports.db.set_durable(true));
  auto tx = COCOON_TRY(ports.db.begin());
  auto row = COCOON_TRY(store::get_vm(ports.db, id));
  if (!row) return fail(ErrorKind::kNotFound, "{}: {}", model::kVmNotFound, id);
  change(*row);
  COCOON_TRY(store::update_vm(ports.db, *row));
  COCOON_TRY(tx.commit());
  if (durable) COCOON_TRY(ports.db.set_durable(false));
  return std::move(*row);
}

Result<void> check_awake(const model::Vm& vm) {
  if (vm.hibernation.empty() || vm.state == model::VmState::kRunning) return {};
  return fail(ErrorKind::kWrongState,
              "it is hibernated, and goes on with the devices that it has; start it first");
}

}  // namespace cocoon::engine
