// SPDX-License-Identifier: Apache-2.0
// Cloud Hypervisor behind the Backend interface: direct boot and UEFI, KVM only. The program is
// started with its API socket and configured over it, so that a VM that cannot boot is an error of
// the start with Cloud Hypervisor's own words. One process is one attempt: after a failed boot it
// is of no more use.
#pragma once

#include <filesystem>
#include <string>

#include "model/config.h"
#include "vmm/backend.h"
#include "vmm/cloud_hypervisor/host.h"
#include "vmm/cloud_hypervisor/plan.h"

namespace cocoon::vmm::cloud_hypervisor {

class CloudHypervisorBackend : public Backend {
 public:
  explicit CloudHypervisorBackend(const model::Config& config)
      : binary_(config.ch_binary),
        run_dir_(config.run_dir),
        root_dir_(config.root_dir),
        firmware_(config.ch_firmware) {}

  std::string_view name() const override { return "cloud-hypervisor"; }
  std::string_view directory() const override { return "cloudhypervisor"; }
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
  bool left_in_order(int vm_dir) const override;
  Result<std::vector<std::string>> plugged_disks(const model::Vm& vm, const RunningVmm& vmm,
                                                 Deadline deadline) const override;
  Result<void> plug_disk(const model::Vm& vm, const std::string& path, const RunningVmm& vmm,
                         Deadline deadline) const override;
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
  Result<OriginalGuest> take_original(const model::Vm& vm, const OriginalPaths& paths,
                                      const std::filesystem::path& dir) const override;
  Result<std::vector<LoadText>> render_original(const model::Vm& vm, const OriginalPaths& paths,
                                                const std::filesystem::path& dir) const override;
  Result<void> finish_load(const LoadPlan& plan, const RunningVmm& vmm,
                           Deadline deadline) const override;
  Result<VmmStatus> status(const RunningVmm& vmm, Deadline deadline) const override;

 private:
  // What a launch of such a guest takes from this host. kUnsupported: not with `accel`.
  Result<Host> look_at_host(const Plan& plan, Accel accel) const;

  std::string binary_;
  std::filesystem::path run_dir_, root_dir_;
  std::string firmware_;  // configured path; empty: looked for
};

}  // namespace cocoon::vmm::cloud_hypervisor
