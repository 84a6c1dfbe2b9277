// SPDX-License-Identifier: Apache-2.0
// Firecracker behind the Backend interface: direct boot, raw disks, hardware virtualization.
#pragma once

#include <filesystem>
#include <string>

#include "vmm/backend.h"

namespace cocoon::vmm::firecracker {

class FirecrackerBackend : public Backend {
 public:
  FirecrackerBackend(std::string binary, std::filesystem::path run_dir)
      : binary_(std::move(binary)), run_dir_(std::move(run_dir)) {}

  std::string_view name() const override { return "firecracker"; }
  std::string_view directory() const override { return "firecracker"; }
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

// Firecracker's answer to GET /. kCorrupt when it is none. Pure.
Result<VmmStatus> parse_status(const nlohmann::json& answer);

}  // namespace cocoon::vmm::firecracker
