// SPDX-License-Identifier: Apache-2.0
#include "engine/live_vm.h"

#include "engine/vm_view.h"

namespace cocoon::engine {

Result<std::optional<LiveVm>> LiveVm::open(const Ports& ports, const model::Vm& vm) {
  std::optional<LiveVm> none;
  if (vm.state != model::VmState::kRunning) return none;
  // A start time is ticks since boot: over a reboot it means nothing.
  if (COCOON_TRY(sys::host_boot_id()) != vm.vmm.boot_id) return none;
  sys::ProcessRef process{vm.vmm.pid, vm.vmm.start_time};
  auto handle = COCOON_TRY(sys::LiveProcess::open(process));
  if (!handle) return none;
  LiveVm live(COCOON_TRY(sys::open_dir(vm_dir(ports, vm))), std::move(*handle));
  live.process_ = process;
  live.log_ = vm_log_dir(ports, vm) / "vmm.log";
  return std::optional<LiveVm>(std::move(live));
}

vmm::RunningVmm LiveVm::vmm() const {
  vmm::RunningVmm vmm;
  vmm.vm_dir = dir_.get();
  vmm.process = process_;
  vmm.handle = &handle_;
  vmm.log = log_;
  return vmm;
}

}  // namespace cocoon::engine
