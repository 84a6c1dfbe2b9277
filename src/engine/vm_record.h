// SPDX-License-Identifier: Apache-2.0
// Writing a VM's record: with the VM's lock held, in a transaction of its own.
#pragma once

#include <functional>
#include <string>

#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// Writes the record. `durable`: it is on the disk before this returns. kNotFound: the row is gone.
Result<void> store_vm(Ports& ports, const model::Vm& vm, bool durable = false);

// Reads the row, changes it, writes it and returns it; else as store_vm.
Result<model::Vm> change_row(Ports& ports, const std::string& id,
                             const std::function<void(model::Vm&)>& change, bool durable = false);

// Refuses to change the devices of a VM that sleeps: its saved memory knows those that it has, and
// its disks are in the snapshot. kWrongState.
Result<void> check_awake(const model::Vm& vm);

}  // namespace cocoon::engine
