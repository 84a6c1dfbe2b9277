// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_reserve.h"

#include "engine/reconcile.h"
#include "engine/uids.h"
#include "model/wording.h"
#include "store/vm_rows.h"

namespace cocoon::engine {

Result<std::string> choose_vm_name(Ports& ports, const std::string& given,
                                   const std::string& base) {
  constexpr std::size_t kLongest = 63;
  if (!given.empty()) {
    if (!COCOON_TRY(store::vm_name_taken(ports.db, given))) return given;
    return fail(ErrorKind::kConflict, "vm \"{}\" {}", given, model::kAlreadyExists);
  }
  std::string name = base;
  for (int number = 2; COCOON_TRY(store::vm_name_taken(ports.db, name)); ++number) {
    std::string suffix = fmt::format("-{}", number);
    name = base.substr(0, kLongest - suffix.size()) + suffix;
  }
  return name;
}

Result<void> reclaim_vm_name(Ports& ports, const std::string& name) {
  if (name.empty() || !COCOON_TRY(store::vm_name_taken(ports.db, name))) return {};
  std::string id = COCOON_TRY(store::resolve_vm(ports.db, name));
  auto vm = COCOON_TRY(store::get_vm(ports.db, id));
  if (!vm || !vm->op || (vm->state != model::VmState::kCreating && vm->op->verb != "rm")) return {};
  COCOON_TRY(observe_vm(ports, std::move(*vm)));
  return {};
}

Result<void> reserve_vm(Ports& ports, model::Vm& vm, const std::vector<std::string>& blobs,
                        const NameChoice& choose_name, Rollback& undo) {
  for (std::uint32_t attempt = 0; attempt < kUidRange; ++attempt) {
    vm.uid = COCOON_TRY(propose_uid(ports, vm.id, attempt));
    {
      auto tx = COCOON_TRY(ports.db.begin());
      // Another create may have taken the uid since the proposal.
      if (COCOON_TRY(store::uid_taken(ports.db, vm.uid))) continue;
      vm.config.name = COCOON_TRY(choose_name());  // and the name as well
      COCOON_TRY(store::insert_vm(ports.db, vm, blobs));
      COCOON_TRY(tx.commit());
    }
    auto claim = claim_uid(ports, vm.uid, vm.id);
    if (claim) {
      undo.add("remove the VM", [&ports, vm] { return drop_vm(ports, vm); });
      return {};
    }
    auto tx = COCOON_TRY(ports.db.begin());
    COCOON_TRY(store::delete_vm(ports.db, vm.id));
    COCOON_TRY(tx.commit());
    if (claim.error().kind != ErrorKind::kConflict) return claim;
  }
  return fail(ErrorKind::kConflict, "no VMM uid is free");
}

}  // namespace cocoon::engine
