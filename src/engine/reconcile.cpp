// SPDX-License-Identifier: Apache-2.0
#include "engine/reconcile.h"

#include <thread>

#include "agent/mux_start.h"
#include "base/log.h"
#include "engine/locks.h"
#include "engine/shim_control.h"
#include "engine/snapshot_settle.h"
#include "engine/uids.h"
#include "engine/user_network.h"
#include "engine/vm_disk.h"
#include "engine/vm_files.h"
#include "engine/vm_network.h"
#include "engine/vm_record.h"
#include "engine/vm_view.h"
#include "model/exit_record.h"
#include "model/wording.h"
#include "store/vm_rows.h"
#include "sys/fault.h"
#include "sys/files.h"
#include "sys/process.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

// What the shim writes too, when it was not there or not the VMM's parent.
constexpr std::string_view kUnseen = "VMM ended, end not seen";

sys::ProcessRef vmm_ref(const model::Process& process) { return {process.pid, process.start_time}; }

// The exit record of exactly this VMM, if it is there.
std::optional<model::ExitRecord> read_exit(const Ports& ports, const model::Vm& vm) {
  auto text = sys::read_file(ports.paths.exit_file(vm.id), 64 * 1024);
  if (!text) return std::nullopt;
  auto exit = model::parse_exit_record(*text);
  if (!exit || !(exit->process == vm.vmm)) return std::nullopt;
  return *exit;
}

// What is written when the shim left nothing: host reboot, or shim and VMM both killed.
Result<model::ExitRecord> unseen_end(const model::Vm& vm) {
  model::ExitRecord exit;
  exit.process = vm.vmm;
  exit.ended_at = utc_now();
  bool rebooted = COCOON_TRY(sys::host_boot_id()) != vm.vmm.boot_id;
  if (rebooted) {
    exit.wait_status = 0;
    exit.reason = "host reboot";
  } else {
    exit.reason = kUnseen;
  }
  return exit;
}

// The exit record of this VMM, which has ended. A shim that lives will write it, however long a
// busy host makes it wait; what no shim has written until now nobody will.
Result<model::ExitRecord> wait_for_exit(const Ports& ports, const model::Vm& vm) {
  Deadline deadline = deadline_in(kShimEndLimit);
  store::fs::path dir = vm_dir(ports, vm);
  while (true) {
    bool shim = shim_alive(dir);  // before the look: a shim that ends meanwhile has written
    if (auto exit = read_exit(ports, vm)) return std::move(*exit);
    auto served = recorded_vmm(dir);
    bool another = served && !(*served == vm.vmm);  // the shim is of a later run
    if (!shim || another || time_left(deadline).count() == 0) return unseen_end(vm);
    std::this_thread::sleep_for(Milliseconds(2));
  }
}

// An end without a witness may have left signs.
void look_for_signs(const Ports& ports, const model::Vm& vm, model::ExitRecord& exit) {
  if (exit.reason != kUnseen) return;
  auto backend = vmm::make_backend(vm.hypervisor, ports.config);
  auto dir = sys::open_dir(vm_dir(ports, vm));
  if (!backend || !dir || !(*backend)->left_in_order(dir->get())) return;
  exit.wait_status = 0;
  exit.reason = "guest power-off";
}

bool runs_by_record(const model::Vm& vm, const model::Process& vmm) {
  return vm.state == model::VmState::kRunning && vm.vmm == vmm;
}

bool is_asked_to_stop(const model::Vm& vm) {
  return vm.op && (vm.op->verb == "stop" || vm.op->verb == "rm");
}

// Writes the end down, with the VM's lock held: the memory goes first, so that a record which says
// `stopped` never owns any.
Result<model::Vm> store_end(Ports& ports, const model::Vm& vm, model::ExitRecord exit, bool asked) {
  look_for_signs(ports, vm, exit);
  COCOON_TRY(remove_memory(ports, vm));
  auto tx = COCOON_TRY(ports.db.begin());
  auto now = COCOON_TRY(store::get_vm(ports.db, vm.id));
  if (!now) return fail(ErrorKind::kNotFound, "{}: {}", model::kVmNotFound, vm.id);
  if (!runs_by_record(*now, vm.vmm)) return *now;
  model::apply_exit(*now, exit, asked || is_asked_to_stop(*now));
  COCOON_TRY(store::update_vm(ports.db, *now));
  COCOON_TRY(tx.commit());
  return *now;
}

bool vmm_alive(const model::Vm& vm) {
  // A start time is ticks since boot: over a reboot it means nothing.
  auto boot_id = sys::host_boot_id();
  return boot_id && *boot_id == vm.vmm.boot_id && sys::is_alive(vmm_ref(vm.vmm));
}

// Of a VM that is recorded as running: does its VMM? A dead shim is replaced.
bool still_runs(const Ports& ports, const model::Vm& vm) {
  if (!vmm_alive(vm)) return false;
  store::fs::path dir = vm_dir(ports, vm);
  if (geteuid() != 0 || shim_alive(dir)) return true;
  ignore(adopt_shim(dir), "the next command tries again");
  return vmm_alive(vm);
}

// Folds an end in for a reader, who holds no lock. Whoever does may be starting the VM anew, whose
// memory must stay: then the reader is told of the end, and the record waits for the next one.
Result<std::optional<model::Vm>> fold_for_reader(Ports& ports, const model::Vm& vm) {
  model::ExitRecord exit = COCOON_TRY(wait_for_exit(ports, vm));
  auto lock = lock_vm(ports, vm.id, "clean up", Milliseconds(0));
  if (!lock && lock.error().kind != ErrorKind::kBusy) return pass(std::move(lock).error());
  auto now = COCOON_TRY(store::get_vm(ports.db, vm.id));
  if (!now && lock) lock->unlink();
  if (!now || !runs_by_record(*now, vm.vmm)) return now;
  if (lock) return std::optional<model::Vm>(COCOON_TRY(store_end(ports, *now, exit, false)));
  look_for_signs(ports, *now, exit);
  model::apply_exit(*now, exit, is_asked_to_stop(*now));
  return now;
}

// The command that worked on this VM is dead (we hold its lock): undo or finish its work. nullopt
// when the VM is gone.
Result<std::optional<model::Vm>> settle_dead_op(Ports& ports, model::Vm vm) {
  bool removing = vm.op && vm.op->verb == "rm";
  if (vm.state == model::VmState::kCreating || removing) {
    COCOON_TRY(end_recorded_vmm(ports, vm), "clean up vm {}", vm.id);
    COCOON_TRY(drop_vm(ports, vm), "clean up vm {}", vm.id);
    return std::optional<model::Vm>();
  }
  if (is_disk_op(vm)) {
    return std::optional<model::Vm>(COCOON_TRY(settle_disk_op(ports, vm), "clean up vm {}", vm.id));
  }
  if (is_snapshot_op(vm)) {
    return std::optional<model::Vm>(
        COCOON_TRY(settle_snapshot_op(ports, vm), "clean up vm {}", vm.id));
  }
  if (vm.state != model::VmState::kRunning) {
    // A start died between the VMM's birth and its row: nobody ever saw that VMM.
    COCOON_TRY(end_recorded_vmm(ports, vm), "clean up vm {}", vm.id);
    COCOON_TRY(remove_memory(ports, vm), "clean up vm {}", vm.id);
    COCOON_TRY(sys::remove_file(ports.paths.exit_file(vm.id)), "clean up vm {}", vm.id);
    if (vm.op && vm.op->verb == "net") {
      // A plugin that fails must not keep the VM: its attachment stays recorded for the next try.
      ignore(trim_network(ports, vm, vm.nics.size()), "removed with the VM at the latest");
    }
  }
  // Its VMM is gone as it was asked to be, which only the op tells.
  if (is_asked_to_stop(vm) && vm.state == model::VmState::kRunning && !vmm_alive(vm)) {
    vm = COCOON_TRY(fold_end(ports, vm, true));
  }
  vm.op.reset();
  COCOON_TRY(store_vm(ports, vm));
  return std::optional<model::Vm>(vm);
}

bool is_half_done(const model::Vm& vm) {
  return vm.state == model::VmState::kCreating || vm.op.has_value();
}

// The row, with the VM's lock held, after the work of a dead command on it is settled; nullopt when
// there is none, or none any more.
Result<std::optional<model::Vm>> settled_row(Ports& ports, const std::string& id) {
  auto vm = COCOON_TRY(store::get_vm(ports.db, id));
  if (!vm || !is_half_done(*vm)) return vm;
  return settle_dead_op(ports, std::move(*vm));
}

}  // namespace

model::Op op_of(std::string_view verb, std::string_view phase) {
  auto self = sys::self_process();
  return {std::string(verb), self.pid, self.start_time, std::string(phase)};
}

Result<model::Vm> fold_end(Ports& ports, const model::Vm& vm, bool asked) {
  model::ExitRecord exit = COCOON_TRY(wait_for_exit(ports, vm));
  return COCOON_TRY(store_end(ports, vm, std::move(exit), asked), "record the end of vm {}", vm.id);
}

Result<void> end_recorded_vmm(const Ports& ports, const model::Vm& vm) {
  store::fs::path dir = vm_dir(ports, vm);
  auto process = recorded_vmm(dir);
  std::string boot_id = COCOON_TRY(sys::host_boot_id());
  if (process && process->boot_id == boot_id) {
    COCOON_TRY(sys::terminate(vmm_ref(*process), Milliseconds(0)));
    sys::side_effect("end VMM");
  }
  COCOON_TRY(stop_user_network(ports, vm));
  COCOON_TRY(wait_shim_end(dir, kShimEndLimit));
  agent::wait_mux_end(dir, Milliseconds(1'000));
  return {};
}

Result<void> kill_during_stop(Ports& ports, const std::string& id) {
  auto vm = COCOON_TRY(store::get_vm(ports.db, id));
  if (!vm || vm->state != model::VmState::kRunning || !vm->op || vm->op->verb != "stop") return {};
  if (COCOON_TRY(sys::host_boot_id()) != vm->vmm.boot_id) return {};
  return sys::terminate(vmm_ref(vm->vmm), Milliseconds(0));
}

Result<void> drop_vm(Ports& ports, const model::Vm& vm) {
  // A network that cannot be taken down must not keep the VM: what is left stays recorded for gc.
  if (!vm.nics.empty()) {
    auto gone = remove_network(ports, vm);
    if (!gone) {
      log_warn("network of vm {}: {}; `cocoon gc` tries again", vm.id, gone.error().to_string());
    }
  }
  COCOON_TRY(remove_vm_files(ports, vm));
  COCOON_TRY(release_uid(ports, vm.uid, vm.id));
  auto tx = COCOON_TRY(ports.db.begin());
  COCOON_TRY(store::delete_vm(ports.db, vm.id));
  return tx.commit();
}

Result<std::optional<model::Vm>> observe_vm(Ports& ports, model::Vm vm) {
  if (is_half_done(vm)) {
    // Its lock free means that the command behind the op is dead.
    auto lock = lock_vm(ports, vm.id, "clean up", Milliseconds(0));
    if (!lock && lock.error().kind != ErrorKind::kBusy) return pass(std::move(lock).error());
    if (lock) {
      auto now = COCOON_TRY(settled_row(ports, vm.id));
      if (!now) {
        lock->unlink();
        return now;
      }
      vm = std::move(*now);
    }
  }
  if (vm.state != model::VmState::kRunning) return std::optional<model::Vm>(std::move(vm));
  if (still_runs(ports, vm)) return std::optional<model::Vm>(std::move(vm));
  return COCOON_TRY(fold_for_reader(ports, vm), "record the end of vm {}", vm.id);
}

Result<model::Vm> settle_locked(Ports& ports, const std::string& id) {
  auto vm = COCOON_TRY(settled_row(ports, id));
  if (!vm) return fail(ErrorKind::kNotFound, "{}: {}", model::kVmNotFound, id);
  if (vm->state != model::VmState::kRunning) return *vm;
  if (still_runs(ports, *vm)) return *vm;
  return fold_end(ports, *vm, false);
}

}  // namespace cocoon::engine
