// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/nic_swap.h"

#include <set>

#include <fmt/format.h>

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using Json = nlohmann::ordered_json;

// The first "net<N>" that is not taken; it is then.
std::string take_id(std::set<std::string>& taken) {
  for (int number = 0;; ++number) {
    std::string id = fmt::format("net{}", number);
    if (taken.insert(id).second) return id;
  }
}

}  // namespace

bool can_swap_nics(const model::Vm& vm, const model::Vm& saved_vm) {
  if (vm.nics.size() != saved_vm.nics.size()) return false;
  bool differs = false;
  for (std::size_t index = 0; index < vm.nics.size(); ++index) {
    differs |= vm.nics[index].mac != saved_vm.nics[index].mac;
  }
  std::size_t places = vm.disks.size() + 2 * vm.nics.size();
  return differs && places <= static_cast<std::size_t>(free_slots(saved_vm));
}

NicSwap swap_nics(Json& config, const model::Vm& saved_vm, const Plan& plan) {
  NicSwap swap;
  std::set<std::string> taken;
  for (const Json& nic : config["net"]) taken.insert(nic["id"].get<std::string>());
  for (std::size_t index = 0; index < plan.nics.size(); ++index) {
    Json& nic = config["net"][index];
    Json fresh = nic;
    fresh["id"] = take_id(taken);
    swap.calls.push_back({"PUT", "/api/v1/vm.add-net", std::move(fresh)});
    swap.leaving.push_back(nic["id"]);
    swap.stand_ins.push_back({stand_in_name(index), plan.nics[index].queue_pairs});
    nic["tap"] = swap.stand_ins.back().tap;
    nic["mac"] = saved_vm.nics[index].mac;
  }
  for (const std::string& id : swap.leaving) {
    swap.calls.push_back({"PUT", "/api/v1/vm.remove-device", {{"id", id}}});
  }
  return swap;
}

}  // namespace cocoon::vmm::cloud_hypervisor
