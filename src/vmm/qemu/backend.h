// SPDX-License-Identifier: Apache-2.0
// QEMU behind the Backend interface: q35, direct boot, every uid, KVM or software emulation.
#pragma once

#include <filesystem>
#include <string>

#include "vmm/backend.h"

namespace cocoon::vmm::qemu {

// The oldest QEMU whose options we use: `-action panic=exit-failure` came with 7.1, and 7.2 is the
// oldest that we run.
inline constexpr Version kOldest{7, 2, 0};

class QemuBackend : public Backend {
 public:
  // `binary`: a path or a name in PATH. `run_dir`: where its version is remembered.
  QemuBackend(std::string binary, std::filesystem::path run_dir)
      : binary_(std::move(binary)), run_dir_(std::move(run_dir)) {}

  std::string_view name() const override { return "qemu"; }
  std::string_view directory() const override { return "qemu"; }
  Result<Capabilities> capabilities() const override;
  Result<Firmware> firmware() const override;
  Result<model::DevicePlan> plan_devices(const model::Vm& vm) const override;
  Result<model::DevicePlan> replan_nics(const model::Vm& vm) const override;
  Result<model::DevicePlan> replan_disks(const model::Vm& vm) const override;
  Result<model::DevicePlan> replan_size(const model::Vm& vm) const override;
  Result<Launch> plan_launch(const model::Vm& vm, Accel accel) const override;
  Result<void> finish_start(const Launch& launch, const RunningVmm& vmm,
                            Deadline deadline) const override;
  Result<bool> ask_guest_to_stop(const RunningVmm& vmm, Deadline deadline) const override;
  Result<void> quit(const RunningVmm& vmm, Deadline deadline) const override;
  AgentSocket agent_socket() const override;
  Result<std::vector<std::string>> plugged_disks(const model::Vm& vm, const RunningVmm& vmm,
                                                 Deadline deadline) const override;
  Result<void> plug_disk(const model::Vm& vm, const std::string& path, const RunningVmm& vmm,
                         Deadline deadline) const override;
  Result<void> check_unplug(const model::Vm& vm, const std::string& path) const override;
  Result<void> unplug_disk(const model::Vm& vm, const std::string& path, const RunningVmm& vmm,
                           Deadline deadline) const override;
  Result<void> grow_disk(const model::Vm& vm, const std::string& path, std::int64_t bytes,
                         const RunningVmm& vmm, Deadline deadline) const override;
  Result<void> pause(const RunningVmm& vmm, Deadline deadline) const override;
  Result<void> resume(const RunningVmm& vmm, Deadline deadline) const override;
  Result<void> save(const model::Vm& vm, const RunningVmm& vmm, const std::string& dir,
                    Deadline deadline) const override;
  Result<SavedFiles> saved_files(const model::Vm& vm) const override;
  Result<LoadPlan> plan_load(const model::Vm& vm, const SavedVm& saved, Accel accel,
                             RestoreMode mode) const override;
  Result<void> finish_load(const LoadPlan& plan, const RunningVmm& vmm,
                           Deadline deadline) const override;
  Result<VmmStatus> status(const RunningVmm& vmm, Deadline deadline) const override;

 private:
  std::string binary_;
  std::filesystem::path run_dir_;
};

}  // namespace cocoon::vmm::qemu
