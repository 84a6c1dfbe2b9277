// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/vm_table.h"

#include "base/clock.h"
#include "base/units.h"
#include "cli/table.h"

namespace cocoon::cli {
namespace {

std::string addresses(const model::Vm& vm) {
  std::string out;
  for (const model::Nic& nic : vm.nics) {
    if (nic.network) out += (out.empty() ? "" : ",") + nic.network->ip;
  }
  return out.empty() ? "-" : out;
}

}  // namespace

std::string vm_table(const std::vector<model::Vm>& vms) {
  if (vms.empty()) return "No VMs found.\n";
  Table table({"ID", "NAME", "STATE", "CPU", "MEMORY", "STORAGE", "IP", "IMAGE", "CREATED"});
  for (const model::Vm& vm : vms) {
    table.add({vm.id, vm.config.name, std::string(model::state_name(vm.state)),
               fmt::format("{}", vm.config.cpu), bytes_size(vm.config.memory),
               bytes_size(vm.config.storage), addresses(vm), vm.config.image,
               local_time(vm.created_at)});
  }
  return table.render();
}

}  // namespace cocoon::cli
