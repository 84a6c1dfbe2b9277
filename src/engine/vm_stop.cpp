// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_stop.h"

#include "engine/agent_stop.h"
#include "engine/cgroups.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/vm_record.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"
#include "sys/process.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

constexpr Milliseconds kQuitLimit{2'000};  // spec 03 §25 row 19

void drop_op(model::Vm& row) { row.op.reset(); }

// Guest, then VMM, then signals. On cancellation the VM is left alone.
Result<void> end_vmm(Ports& ports, const model::Vm& vm, const StopOptions& options) {
  sys::ProcessRef process{vm.vmm.pid, vm.vmm.start_time};
  auto handle = COCOON_TRY(sys::LiveProcess::open(process));
  if (!handle) return {};
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  sys::UniqueFd dirfd = COCOON_TRY(sys::open_dir(vm_dir(ports, vm)));
  vmm::RunningVmm running;
  running.vm_dir = dirfd.get();
  running.process = process;
  running.handle = &*handle;
  running.log = vm_log_dir(ports, vm) / "vmm.log";
  if (!options.force) {
    Deadline deadline = deadline_in(
        options.timeout.value_or(std::chrono::seconds(ports.config.stop_timeout_seconds)));
    // A guest of the boot kit need not listen to a power button, or have one. The backend's way
    // follows all the same: it waits for the end, and asks guests without an agent.
    if (vm.boot.boot_kit) {
      auto able = backend->capabilities();
      COCOON_TRY(ask_agent_to_stop(ports, vm, able && able->ends_by_reboot, deadline));
    }
    auto asked = backend->ask_guest_to_stop(running, deadline);
    if (!asked && asked.error().kind == ErrorKind::kInterrupted) return pass(asked.error());
    ignore(asked, "the VMM is told next");
    if (asked && *asked) return {};
    auto told = backend->quit(running, deadline_in(kQuitLimit));
    if (!told && told.error().kind == ErrorKind::kInterrupted) return pass(told.error());
    ignore(told, "signals follow");
    if (told && COCOON_TRY(handle->wait_exit(kQuitLimit))) return {};
  }
  Milliseconds grace = options.force
                           ? Milliseconds(0)
                           : std::chrono::seconds(ports.config.terminate_grace_period_seconds);
  COCOON_TRY(sys::terminate(process, grace));
  sys::side_effect("end VMM");
  return {};
}

}  // namespace

Result<model::Vm> stop_vm(Ports& ports, const std::string& id, const StopOptions& options) {
  if (options.force) COCOON_TRY(kill_during_stop(ports, id), "stop vm {}", id);
  auto lock = COCOON_TRY(lock_vm(ports, id, "stop"));
  model::Vm vm = COCOON_TRY(settle_locked(ports, id));
  if (vm.state != model::VmState::kRunning) return vm;
  COCOON_TRY(change_row(ports, id, [](model::Vm& row) { row.op = op_of("stop"); }),
             "stop vm \"{}\"", vm.config.name);
  auto ended = end_vmm(ports, vm, options);
  if (!ended) {
    sys::CancelShield shield;
    ignore(change_row(ports, id, drop_op), "the next command settles the row");
    return pass(std::move(ended).error(), fmt::format("stop vm \"{}\"", vm.config.name));
  }
  sys::CancelShield shield;  // it is stopped; what is left is to say so
  vm = COCOON_TRY(fold_end(ports, vm, true), "stop vm \"{}\"", vm.config.name);
  COCOON_TRY(remove_vm_cgroup(ports, vm.id));
  return COCOON_TRY(change_row(ports, id, drop_op), "stop vm \"{}\"", vm.config.name);
}

}  // namespace cocoon::engine
