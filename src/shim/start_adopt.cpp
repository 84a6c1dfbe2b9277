// SPDX-License-Identifier: Apache-2.0
#include <sys/syscall.h>

#include "shim/pty.h"
#include "shim/start.h"

namespace cocoon::shim {
namespace {

constexpr int kMasterFdOfVmm = 3;

// Whoever asks whether a shim lives holds a shared lock for a moment.
constexpr int kLockPatienceMs = 50;

// Finds the VMM of the identity file; kGone when there is none of this boot.
Started find_vmm(Shim& shim) {
  if (Outcome outcome = read_identity(shim.vm_dir.get(), shim.identity); !outcome.ok) {
    // No identity file: the VMM has ended, or was never started.
    const bool absent = ::faccessat(shim.vm_dir.get(), kIdentityFile, F_OK, 0) != 0;
    return absent ? Started{Start::kGone} : started(outcome);
  }
  BootId boot_id;
  if (Outcome outcome = read_boot_id(boot_id); !outcome.ok) return started(outcome);
  if (boot_id.view() != shim.identity.boot_id.view()) return {Start::kGone};
  shim.vmm = open_process(shim.identity.process);
  return {shim.vmm.valid() ? Start::kServing : Start::kGone};
}

// The VMM is hostile: what it holds as descriptor 3 counts only if it is the very master that the
// first shim gave it.
Outcome fetch_master(Shim& shim) {
  UniqueFd master(static_cast<int>(::syscall(SYS_pidfd_getfd, shim.vmm.get(), kMasterFdOfVmm, 0U)));
  if (!master.valid()) return failure_errno("fetch the console from the VMM");
  if (!is_pty_master(master.get(), shim.identity.pts))
    return failure("the VMM's descriptor 3 is not its console");
  if (!set_nonblocking(master.get())) return failure_errno("set console mode");
  shim.console.set_master(std::move(master));
  return success();
}

Outcome take_over(Shim& shim) {
  if (Outcome outcome = fetch_master(shim); !outcome.ok) return outcome;
  if (Outcome outcome = enter_shim_cgroup(shim); !outcome.ok) return outcome;
  // A log that cannot be opened now is tried again at each output; the console matters more.
  if (open_console_log(shim).ok) shim.console.recall();
  shim.vmm_log.open_existing(shim.log_dir.get(), shim.config.uid, shim.config.vmm_log_bytes);
  if (Outcome outcome = open_sockets(shim); !outcome.ok) return outcome;
  return give_up_rights();
}

}  // namespace

Started adopt(Shim& shim, const char* vm_dir) {
  if (Outcome outcome = open_vm(shim, vm_dir); !outcome.ok) return started(outcome);
  if (Started lock = take_lock(shim, kLockPatienceMs); lock.start != Start::kServing) return lock;
  if (Started found = find_vmm(shim); found.start != Start::kServing) return found;
  const Outcome outcome = take_over(shim);
  if (outcome.ok) return {};
  remove_sockets(shim);
  // It may have ended while we looked at it.
  return has_ended(shim.vmm.get()) ? Started{Start::kGone} : started(outcome);
}

}  // namespace cocoon::shim
