// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_run.h"

#include "engine/vm_reserve.h"
#include "engine/vm_rm.h"
#include "engine/vm_start.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/process.h"

namespace cocoon::engine {

Result<model::Vm> run_vm(Ports& ports, const CreateRequest& request) {
  model::Vm vm = COCOON_TRY(create_vm(ports, request));
  auto started = start_vm(ports, vm.id);
  if (started) return std::move(*started);
  Error error = std::move(started).error();
  if (error.kind == ErrorKind::kInterrupted) {
    sys::CancelShield shield;
    ignore(remove_vm(ports, vm.id, true), "interrupted run");
    return pass(std::move(error));
  }
  ports.note(
      fmt::format("the VM is kept: `cocoon vm logs {0}` shows its console, `cocoon vm start {0}` "
                  "tries again, `cocoon vm rm {0}` removes it",
                  vm.config.name));
  return pass(std::move(error));
}

namespace {

// From the end of the program to the end of the VM: file systems are written back.
constexpr Milliseconds kEndLimit{60'000};

Result<void> check_attachable(const model::Vm& vm, const CreateRequest& request) {
  if (vm.boot.boot_kit && vm.run.init) {
    return fail(
        ErrorKind::kInvalid,
        "the VM would run an init, which cannot be attached to: give a command (-- CMD), or "
        "use `vm run` and `vm console`");
  }
  if (!vm.boot.boot_kit && request.command.empty()) {
    return fail(ErrorKind::kInvalid, "an image with its own kernel needs a command (-- CMD)");
  }
  return {};
}

// A request for create: what runs in a guest of its own init is the agent's business.
CreateRequest creatable(const CreateRequest& request, bool boot_kit) {
  CreateRequest out = request;
  if (!boot_kit) out.command.clear();
  return out;
}

}  // namespace

Result<AttachedRun> run_attached(Ports& ports, const CreateRequest& request, bool remove) {
  COCOON_TRY(reclaim_vm_name(ports, request.name));
  // A look ahead only: create says all that there is to say.
  Ports silent = ports;
  silent.note = [](std::string_view) {};
  Planned plan = COCOON_TRY(plan_create(silent, creatable(request, true)));
  COCOON_TRY(check_attachable(plan.vm, request));
  AttachedRun run;
  run.own_program = plan.vm.boot.boot_kit;
  model::Vm vm = COCOON_TRY(create_vm(ports, creatable(request, run.own_program)));
  auto started = start_vm(ports, vm.id, {.attach = run.own_program});
  if (started) {
    run.vm = std::move(*started);
    return run;
  }
  sys::CancelShield shield;
  if (remove || started.error().kind == ErrorKind::kInterrupted) {
    ignore(remove_vm(ports, vm.id, true), "a run that failed");
  }
  return pass(std::move(started).error());
}

Result<void> end_attached(Ports& ports, const AttachedRun& run, bool attended, bool remove) {
  sys::CancelShield shield;
  if (run.own_program && (attended || !remove)) {
    auto vmm = COCOON_TRY(sys::LiveProcess::open({run.vm.vmm.pid, run.vm.vmm.start_time}));
    if (vmm) COCOON_TRY(vmm->wait_exit(kEndLimit));
    if (!remove) COCOON_TRY(inspect_vm(ports, run.vm.id));
  }
  if (!remove) return {};
  return remove_vm(ports, run.vm.id, true);
}

}  // namespace cocoon::engine
