// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_accel.h"

#include <cstdlib>

namespace cocoon::engine {
namespace {

constexpr uid_t kNobody = 65534;  // the question is what a VMM may, not which one

vmm::AccelRequest accel_request(const Ports& ports, uid_t uid) {
  const char* wanted = std::getenv("COCOON_ACCEL");
  vmm::AccelRequest request;
  request.override_text = wanted == nullptr ? "" : wanted;
  request.run_dir = ports.paths.run();
  request.uid = uid;
  return request;
}

Result<vmm::AccelChoice> choose(const Ports& ports, const vmm::Backend& backend, uid_t uid) {
  auto choice = COCOON_TRY(vmm::choose_accel(accel_request(ports, uid)));
  if (choice.accel == vmm::Accel::kKvm) return choice;
  vmm::Capabilities able = COCOON_TRY(backend.capabilities());
  if (!able.needs_kvm) return choice;
  return fail(ErrorKind::kUnsupported, "{} needs KVM, but {}; --backend qemu does without",
              backend.name(),
              choice.reason.empty() ? std::string("COCOON_ACCEL=tcg forbids it") : choice.reason);
}

}  // namespace

Result<vmm::AccelChoice> choose_accel(Ports& ports, const vmm::Backend& backend,
                                      const model::Vm& vm) {
  // Before a new VM has its uid: any that is not root's.
  auto choice = COCOON_TRY(choose(ports, backend, vm.uid == 0 ? kNobody : vm.uid));
  if (!choice.note.empty() && choice.fresh) ports.note(choice.note);
  return choice;
}

Result<void> check_accel(Ports& ports, const vmm::Backend& backend) {
  vmm::Capabilities able = COCOON_TRY(backend.capabilities());
  if (able.needs_kvm) COCOON_TRY(choose(ports, backend, kNobody));
  return {};
}

bool is_kvm_usable(const Ports& ports) {
  auto choice = vmm::choose_accel(accel_request(ports, kNobody));
  return choice && choice->accel == vmm::Accel::kKvm;
}

vmm::Accel planning_accel(const vmm::Capabilities& able) {
  return able.needs_kvm ? vmm::Accel::kKvm : vmm::Accel::kTcg;
}

}  // namespace cocoon::engine
