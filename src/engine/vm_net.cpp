// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_net.h"

#include <algorithm>

#include "base/clock.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/rollback.h"
#include "engine/vm_network.h"
#include "engine/vm_record.h"
#include "model/disk.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

// A cloud image's guest was told of its NICs on its NoCloud disk, which holds what we do not keep.
Result<void> check_guest(const model::Vm& vm) {
  for (const model::Disk& disk : vm.disks) {
    if (disk.role != model::DiskRole::kCidata) continue;
    return fail(ErrorKind::kUnsupported,
                "the guest of a cloud image is told of its NICs once, at create");
  }
  return {};
}

// The record with that many NICs; new ones are planned only.
Result<model::Vm> replan(Ports& ports, const vmm::Backend& backend, const model::Vm& before,
                         const NetRequest& request) {
  model::Vm vm = before;
  auto wanted = static_cast<std::size_t>(request.nics);
  if (wanted < vm.nics.size()) {
    vm.nics.resize(wanted);
    if (wanted == 0) vm.ports.clear();
  } else {
    CreateRequest more;
    more.nics = request.nics;
    more.network = request.network;
    more.bridge = request.bridge;
    more.ports = vm.ports;
    if (!vm.nics.empty()) {
      const model::Nic& first = vm.nics.front();
      more.bridge = first.bridge_dev;
      more.network = first.backend == model::kUserNic ? kUserNetwork : vm.config.network;
      if (first.backend == model::kBridgeNic) more.network.clear();
    }
    auto able = COCOON_TRY(backend.capabilities());
    std::vector<model::Nic> kept = std::move(vm.nics);
    vm.nics.clear();
    COCOON_TRY(plan_network(ports, more, able, vm));
    std::copy(kept.begin(), kept.end(), vm.nics.begin());
  }
  vm.device_plan = COCOON_TRY(backend.replan_nics(vm));
  COCOON_TRY(model::validate(vm));
  return vm;
}

Result<void> check_request(const model::Vm& vm, const NetRequest& request) {
  if (request.nics < 0) return fail(ErrorKind::kInvalid, "--nics must be at least 0");
  if (vm.state == model::VmState::kRunning) {
    return fail(ErrorKind::kWrongState, "it is running; stop it first");
  }
  COCOON_TRY(check_awake(vm));
  bool names_one = !request.network.empty() || !request.bridge.empty();
  if (names_one && !vm.nics.empty()) {
    return fail(ErrorKind::kInvalid, "its NICs are on a network already; --nics 0 takes them off");
  }
  return check_guest(vm);
}

}  // namespace

Result<model::Vm> change_nics(Ports& ports, const std::string& id, const NetRequest& request) {
  auto lock = COCOON_TRY(lock_vm(ports, id, "net"));
  model::Vm before = COCOON_TRY(settle_locked(ports, id));
  COCOON_TRY(check_request(before, request), "change the NICs of vm \"{}\"", before.config.name);
  auto backend = COCOON_TRY(vmm::make_backend(before.hypervisor, ports.config));
  model::Vm vm = COCOON_TRY(replan(ports, *backend, before, request),
                            "change the NICs of vm \"{}\"", before.config.name);
  std::size_t kept = std::min(before.nics.size(), vm.nics.size());
  // From here on a dead command's leftovers are known: the op says that NICs beyond the record's
  // may be there.
  model::Vm marked = before;
  marked.op = op_of("net");
  COCOON_TRY(store_vm(ports, marked));
  Rollback undo;
  undo.add("put the NICs back", [&ports, before, kept]() -> Result<void> {
    if (kept == before.nics.size()) {
      // A plugin that fails must not keep the VM: its attachment stays recorded for the next try.
      ignore(trim_network(ports, before, kept), "removed with the VM at the latest");
    }
    return store_vm(ports, before);
  });
  if (vm.nics.size() > kept) {
    COCOON_TRY(make_network(ports, vm, kept, lock.fd()), "change the NICs of vm \"{}\"",
               vm.config.name);
  }
  vm.op = marked.op;
  vm.updated_at = utc_now();
  COCOON_TRY(store_vm(ports, vm));
  undo.commit();
  // The record no longer has them; what cannot be removed now is tried again.
  if (vm.nics.size() < before.nics.size()) {
    auto trimmed = trim_network(ports, before, kept);
    if (!trimmed) ports.note("left for `cocoon gc`: " + trimmed.error().to_string());
  }
  vm.op.reset();
  COCOON_TRY(store_vm(ports, vm));
  return vm;
}

}  // namespace cocoon::engine
