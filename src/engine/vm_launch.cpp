// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_launch.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "engine/cgroups.h"
#include "engine/reconcile.h"
#include "engine/shim_control.h"
#include "engine/uids.h"
#include "engine/vm_files.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "sys/process.h"

namespace cocoon::engine {
namespace {

// From the VMM's birth to a running guest. Generous: an emulated host inside an emulated host.
constexpr Milliseconds kStartLimit{30'000};

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
  config.cgroup = COCOON_TRY(make_vm_cgroup(ports, vm.id));
  config.shim_cgroup = COCOON_TRY(make_shim_cgroup());
  config.launch = launch;
  return config;
}

std::uint64_t size_of(const store::fs::path& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

Result<void> wait_for_guest(Ports& ports, const model::Vm& vm, std::uint64_t log_offset,
                            const FinishLaunch& finish) {
  sys::UniqueFd dirfd = COCOON_TRY(sys::open_dir(vm_dir(ports, vm)));
  vmm::RunningVmm running;
  running.vm_dir = dirfd.get();
  running.process = {vm.vmm.pid, vm.vmm.start_time};
  auto handle = COCOON_TRY(sys::LiveProcess::open(running.process));
  if (handle) running.handle = &*handle;
  running.log = vm_log_dir(ports, vm) / "vmm.log";
  running.log_offset = log_offset;
  return finish(running, deadline_in(kStartLimit));
}

}  // namespace

void undo_launch(Ports& ports, const model::Vm& vm, Rollback& undo) {
  undo.add("remove the start's files", [&ports, vm]() -> Result<void> {
    COCOON_TRY(end_recorded_vmm(ports, vm));
    COCOON_TRY(sys::remove_file(ports.paths.exit_file(vm.id)));
    COCOON_TRY(remove_vm_cgroup(ports, vm.id));
    return remove_memory(ports, vm);
  });
}

Result<void> prepare_launch(Ports& ports, const model::Vm& vm) {
  // The shim of an earlier run takes memory and sockets away before it ends.
  COCOON_TRY(wait_shim_end(vm_dir(ports, vm), kShimEndLimit));
  COCOON_TRY(claim_uid(ports, vm.uid, vm.id));  // gone after a reboot
  COCOON_TRY(sys::remove_file(ports.paths.exit_file(vm.id)));
  COCOON_TRY(sys::make_dirs(ports.paths.exits(), 0700));
  return sys::make_dirs(vm_log_dir(ports, vm), 0700);
}

Result<void> launch_vm(Ports& ports, const vmm::AccelChoice& choice, model::Vm& vm,
                       const vmm::Launch& launch, const FinishLaunch& finish) {
  COCOON_TRY(remove_sockets(vm_dir(ports, vm), launch));
  auto config = COCOON_TRY(shim_config(ports, vm, launch, choice.groups));
  COCOON_TRY(sys::check_cancelled());
  std::uint64_t log_offset = size_of(vm_log_dir(ports, vm) / "vmm.log");
  sys::ProcessRef process = COCOON_TRY(launch_shim(config), "start the VMM");
  vm.vmm = {process.pid, process.start_time, config.boot_id};
  return wait_for_guest(ports, vm, log_offset, finish);
}

void mark_running(model::Vm& vm) {
  vm.state = model::VmState::kRunning;
  vm.first_booted = true;
  vm.exit_code.reset();
  vm.exit_reason.clear();
  vm.op.reset();
  vm.started_at = vm.updated_at = utc_now();
}

}  // namespace cocoon::engine
