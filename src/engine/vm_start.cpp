// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_start.h"

#include <sys/stat.h>

#include "base/id.h"
#include "base/text.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/rollback.h"
#include "engine/shim_control.h"
#include "engine/uids.h"
#include "engine/user_network.h"
#include "engine/vm_accel.h"
#include "engine/vm_files.h"
#include "engine/vm_network.h"
#include "engine/vm_view.h"
#include "store/vm_rows.h"
#include "sys/cancel.h"
#include "sys/cgroup.h"
#include "sys/process.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

// From the VMM's birth to a running guest. Generous: an emulated host inside an emulated host.
constexpr Milliseconds kStartLimit{30'000};
// The cgroup leaf that all shims share.
constexpr const char* kShimCgroup = "shims";

Result<void> store_vm(Ports& ports, const model::Vm& vm) {
  auto tx = COCOON_TRY(ports.db.begin());
  COCOON_TRY(store::update_vm(ports.db, vm));
  return tx.commit();
}

// Stale sockets would stop the VMM from starting, or somebody would talk to a dead one.
Result<void> remove_sockets(const store::fs::path& dir, const vmm::Launch& launch) {
  sys::UniqueFd dirfd = COCOON_TRY(sys::open_dir(dir));
  for (const std::string& name : launch.sockets) {
    auto slash = name.rfind('/');
    std::string parent = slash == std::string::npos ? "." : name.substr(0, slash);
    sys::UniqueFd at =
        COCOON_TRY(sys::open_beneath(dirfd.get(), parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (unlinkat(at.get(), name.substr(slash + 1).c_str(), 0) != 0 && errno != ENOENT) {
      return fail_errno(fmt::format("remove stale socket {}", name));
    }
  }
  return {};
}

// Files of this start, in place before the VMM exists.
Result<vmm::Launch> prepare(Ports& ports, const vmm::Backend& backend, model::Vm& vm,
                            vmm::Accel accel, int lock_fd) {
  COCOON_TRY(model::validate(vm));
  COCOON_TRY(claim_uid(ports, vm.uid, vm.id));      // gone after a reboot
  COCOON_TRY(restore_network(ports, vm, lock_fd));  // the same, and its TAPs are that uid's
  COCOON_TRY(sys::remove_file(ports.paths.exit_file(vm.id)));
  COCOON_TRY(sys::make_dirs(ports.paths.exits(), 0700));
  COCOON_TRY(sys::make_dirs(vm_log_dir(ports, vm), 0700));
  auto able = COCOON_TRY(backend.capabilities());
  if (vm.boot.boot_kit) COCOON_TRY(make_initrd(ports, vm, able.ends_by_reboot));
  vmm::Launch launch = COCOON_TRY(backend.plan_launch(as_host_can(ports, vm), accel));
  if (launch.memory_file_bytes > 0) COCOON_TRY(make_memory(ports, vm, launch.memory_file_bytes));
  COCOON_TRY(remove_sockets(vm_dir(ports, vm), launch));
  COCOON_TRY(start_user_network(ports, vm));
  return launch;
}

Result<ShimConfig> shim_config(Ports& ports, const model::Vm& vm, const vmm::Launch& launch,
                               std::vector<gid_t> groups) {
  ShimConfig config;
  config.id = vm.id;
  config.vm_dir = vm_dir(ports, vm);
  config.log_dir = vm_log_dir(ports, vm);
  config.exit_file = ports.paths.exit_file(vm.id);
  config.boot_id = COCOON_TRY(sys::host_boot_id());
  config.uid = vm.uid;
  config.groups = std::move(groups);
  config.nonce = vm.nonce;
  if (!vm.nics.empty() && !vm.nics.front().netns_path.empty()) {
    config.netns = vm.nics.front().netns_path;
  }
  config.cgroup = COCOON_TRY(sys::make_cgroup(vm.id));
  config.shim_cgroup = COCOON_TRY(sys::make_cgroup(kShimCgroup));
  config.launch = launch;
  return config;
}

std::uint64_t size_of(const store::fs::path& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

Result<void> boot(Ports& ports, const vmm::Backend& backend, const model::Vm& vm,
                  const vmm::Launch& launch, std::uint64_t log_offset) {
  sys::UniqueFd dirfd = COCOON_TRY(sys::open_dir(vm_dir(ports, vm)));
  vmm::RunningVmm running;
  running.vm_dir = dirfd.get();
  running.process = {vm.vmm.pid, vm.vmm.start_time};
  auto handle = COCOON_TRY(sys::LiveProcess::open(running.process));
  if (handle) running.handle = &*handle;
  running.log = vm_log_dir(ports, vm) / "vmm.log";
  running.log_offset = log_offset;
  return backend.finish_start(launch, running, deadline_in(kStartLimit));
}

// Everything from the launch to a running guest; undone by the caller's Rollback on failure.
Result<void> bring_up(Ports& ports, const vmm::Backend& backend, const vmm::AccelChoice& choice,
                      model::Vm& vm, int lock_fd, Rollback& undo) {
  vm.accel = vmm::accel_name(choice.accel);
  vm.nonce = COCOON_TRY(random_hex(16));
  undo.add("remove the start's files", [&ports, vm]() -> Result<void> {
    COCOON_TRY(end_recorded_vmm(ports, vm));
    COCOON_TRY(sys::remove_file(ports.paths.exit_file(vm.id)));
    sys::remove_cgroup(vm.id);
    return remove_memory(ports, vm);
  });
  vmm::Launch launch = COCOON_TRY(prepare(ports, backend, vm, choice.accel, lock_fd));
  auto config = COCOON_TRY(shim_config(ports, vm, launch, choice.groups));
  COCOON_TRY(sys::check_cancelled());
  std::uint64_t log_offset = size_of(vm_log_dir(ports, vm) / "vmm.log");
  sys::ProcessRef process = COCOON_TRY(launch_shim(config), "start the VMM");
  vm.vmm = {process.pid, process.start_time, config.boot_id};
  return boot(ports, backend, vm, launch, log_offset);
}

// Brings the VM up and commits its row; after a failure nothing of the start is there any more.
Result<void> run_or_undo(Ports& ports, const vmm::Backend& backend, const vmm::AccelChoice& choice,
                         model::Vm& vm, int lock_fd) {
  Rollback undo;
  COCOON_TRY(bring_up(ports, backend, choice, vm, lock_fd, undo));
  vm.state = model::VmState::kRunning;
  vm.first_booted = true;
  vm.exit_code.reset();
  vm.exit_reason.clear();
  vm.op.reset();
  vm.started_at = vm.updated_at = utc_now();
  COCOON_TRY(store_vm(ports, vm));
  undo.commit();
  return {};
}

// Row after a start that did not work: an interrupted one leaves the VM as it was.
void record_failure(Ports& ports, model::Vm before, const Error& error) {
  sys::CancelShield shield;
  before.op.reset();
  if (error.kind != ErrorKind::kInterrupted) {
    before.state = model::VmState::kError;
    before.exit_reason = fmt::format("start: {}", error.to_string());
    before.exit_code.reset();
    before.updated_at = utc_now();
  }
  ignore(store_vm(ports, before), "the next command settles the row");
}

}  // namespace

Result<model::Vm> start_vm(Ports& ports, const std::string& id, const StartOptions& options) {
  auto lock = COCOON_TRY(lock_vm(ports, id, "start"));
  model::Vm before = COCOON_TRY(settle_locked(ports, id));
  if (before.state == model::VmState::kRunning) return before;
  auto backend = COCOON_TRY(vmm::make_backend(before.hypervisor, ports.config));
  // Refused before anything is done, the row included.
  auto choice =
      COCOON_TRY(choose_accel(ports, *backend, before), "start vm \"{}\"", before.config.name);
  model::Vm vm = before;
  vm.op = op_of("start");
  vm.run.attach = options.attach;
  COCOON_TRY(store_vm(ports, vm), "start vm \"{}\"", vm.config.name);
  auto up = run_or_undo(ports, *backend, choice, vm, lock.fd());
  if (up) return vm;
  record_failure(ports, before, up.error());
  return pass(std::move(up).error(), fmt::format("start vm \"{}\"", before.config.name));
}

}  // namespace cocoon::engine
