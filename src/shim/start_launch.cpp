// SPDX-License-Identifier: Apache-2.0
#include "shim/launch.h"
#include "shim/pty.h"
#include "shim/start.h"

namespace cocoon::shim {
namespace {

// The old shim of this VM may still be syncing its exit record, which the engine has seen.
constexpr int kLockPatienceMs = 500;

// Two VMMs on one disk would destroy it, so the identity of one that still runs is never replaced.
Outcome check_no_vmm_runs(const Shim& shim) {
  Identity old;
  if (!read_identity(shim.vm_dir.get(), old).ok) return success();
  if (old.boot_id.view() != shim.identity.boot_id.view()) return success();
  if (!open_process(old.process).valid()) return success();
  Outcome outcome = failure("a VMM of this VM still runs as process ");
  outcome.why.add_number(old.process.pid);
  return outcome;
}

Outcome find_boot_id(Shim& shim) {
  if (Outcome outcome = read_boot_id(shim.identity.boot_id); !outcome.ok) return outcome;
  if (shim.identity.boot_id.view() == shim.config.boot_id) return success();
  return failure("shim.conf: boot_id is not this host's");
}

Outcome open_logs(Shim& shim, UniqueFd& vmm_stderr) {
  const Config& config = shim.config;
  const int directory = shim.log_dir.get();
  if (Outcome outcome = open_console_log(shim); !outcome.ok) return outcome;
  Outcome outcome =
      shim.vmm_log.open_for_launch(directory, config.uid, config.gid, config.vmm_log_bytes);
  if (!outcome.ok) return outcome;
  return shim.vmm_log.open_for_vmm(directory, vmm_stderr);
}

// Everything from the fork on; the caller removes the files if this fails.
Outcome start_vmm(Shim& shim) {
  UniqueFd vmm_stderr;
  if (Outcome outcome = open_logs(shim, vmm_stderr); !outcome.ok) return outcome;
  Pty pty;
  if (Outcome outcome = open_pty(pty); !outcome.ok) return outcome;
  PendingVmm pending;
  Outcome outcome = pending.fork_child({.config = shim.config,
                                        .vm_dir = shim.vm_dir.get(),
                                        .slave = pty.slave.get(),
                                        .master = pty.master.get(),
                                        .vmm_log = vmm_stderr.get()});
  if (!outcome.ok) return outcome;
  shim.identity.process = pending.process();
  shim.identity.pts = pty.number;
  shim.identity.started_at = current_time();
  if (outcome = write_identity(shim.vm_dir.get(), shim.identity); !outcome.ok) return outcome;
  if (outcome = open_sockets(shim); !outcome.ok) return outcome;
  if (outcome = give_up_rights(); !outcome.ok) return outcome;
  if (outcome = pending.release(); !outcome.ok) return outcome;
  shim.vmm = pending.take_pidfd();
  shim.console.set_master(std::move(pty.master));
  shim.is_parent = true;
  return success();
}

}  // namespace

Started launch(Shim& shim, const char* vm_dir) {
  if (Outcome outcome = open_vm(shim, vm_dir); !outcome.ok) return started(outcome);
  if (Outcome outcome = find_boot_id(shim); !outcome.ok) return started(outcome);
  if (Started lock = take_lock(shim, kLockPatienceMs); lock.start != Start::kServing) return lock;
  if (Outcome outcome = check_no_vmm_runs(shim); !outcome.ok) return started(outcome);
  if (Outcome outcome = enter_shim_cgroup(shim); !outcome.ok) return started(outcome);
  const Outcome outcome = start_vmm(shim);
  if (!outcome.ok) {
    remove_sockets(shim);
    ::unlinkat(shim.vm_dir.get(), kIdentityFile, 0);
  }
  return started(outcome);
}

}  // namespace cocoon::shim
