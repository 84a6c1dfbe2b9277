// SPDX-License-Identifier: Apache-2.0
#include "vmm/backend.h"

#include "vmm/cloud_hypervisor/backend.h"
#include "vmm/firecracker/backend.h"
#include "vmm/qemu/backend.h"

namespace cocoon::vmm {
namespace {

constexpr std::string_view kQemu = "qemu";
constexpr std::string_view kCloudHypervisor = "cloud-hypervisor";
constexpr std::string_view kFirecracker = "firecracker";

// Would this backend run such a VM here?
bool is_ready(const Backend& backend, const BackendNeeds& needs) {
  if (!backend.capabilities()) return false;
  return !needs.firmware || backend.firmware();
}

std::string_view choose(const model::Config& config, const BackendNeeds& needs,
                        const std::function<bool()>& kvm_usable) {
  if (needs.windows) return kCloudHypervisor;
  cloud_hypervisor::CloudHypervisorBackend preferred(config);
  return is_ready(preferred, needs) && kvm_usable() ? kCloudHypervisor : kQemu;
}

Failure no_hotplug(const Backend& backend) {
  return fail(ErrorKind::kUnsupported,
              "{} cannot change the disks of a running VM (capability "
              "hotplug); stop it first",
              backend.name());
}

Failure no_snapshots(const Backend& backend) {
  return fail(ErrorKind::kUnsupported, "{} cannot save a running guest here (capability snapshots)",
              backend.name());
}

Failure no_interchange(const Backend& backend) {
  return fail(ErrorKind::kUnsupported,
              "snapshots of {} are not exchanged with the original engine, only those of Cloud "
              "Hypervisor",
              backend.name());
}

}  // namespace

Result<model::DevicePlan> Backend::replan_nics(const model::Vm&) const {
  return fail(ErrorKind::kUnsupported, "{} cannot change the NICs of a VM that exists", name());
}

Result<std::vector<std::string>> Backend::plugged_disks(const model::Vm&, const RunningVmm&,
                                                        Deadline) const {
  return no_hotplug(*this);
}

Result<void> Backend::plug_disk(const model::Vm&, const std::string&, const RunningVmm&,
                                Deadline) const {
  return no_hotplug(*this);
}

Result<void> Backend::check_unplug(const model::Vm&, const std::string&) const {
  if (COCOON_TRY(capabilities()).hotplug) return {};
  return no_hotplug(*this);
}

Result<void> Backend::unplug_disk(const model::Vm&, const std::string&, const RunningVmm&,
                                  Deadline) const {
  return no_hotplug(*this);
}

Result<void> Backend::grow_disk(const model::Vm&, const std::string&, std::int64_t,
                                const RunningVmm&, Deadline) const {
  return no_hotplug(*this);
}

Result<OriginalGuest> Backend::take_original(const model::Vm&, const OriginalPaths&,
                                             const std::filesystem::path&) const {
  return no_interchange(*this);
}

Result<std::vector<LoadText>> Backend::render_original(const model::Vm&, const OriginalPaths&,
                                                       const std::filesystem::path&) const {
  return no_interchange(*this);
}

Result<void> Backend::pause(const RunningVmm&, Deadline) const { return no_snapshots(*this); }

Result<void> Backend::resume(const RunningVmm&, Deadline) const { return no_snapshots(*this); }

Result<void> Backend::save(const model::Vm&, const RunningVmm&, const std::string&,
                           Deadline) const {
  return no_snapshots(*this);
}

Result<SavedFiles> Backend::saved_files(const model::Vm&) const { return no_snapshots(*this); }

Result<LoadPlan> Backend::plan_load(const model::Vm&, const SavedVm&, Accel, RestoreMode) const {
  return no_snapshots(*this);
}

Result<void> Backend::finish_load(const LoadPlan&, const RunningVmm&, Deadline) const {
  return no_snapshots(*this);
}

Result<std::unique_ptr<Backend>> make_backend(std::string_view name, const model::Config& config) {
  if (name == kQemu) {
    return std::unique_ptr<Backend>(
        std::make_unique<qemu::QemuBackend>(config.qemu_binary, config.run_dir));
  }
  if (name == kCloudHypervisor) {
    return std::unique_ptr<Backend>(
        std::make_unique<cloud_hypervisor::CloudHypervisorBackend>(config));
  }
  if (name == kFirecracker) {
    return std::unique_ptr<Backend>(
        std::make_unique<firecracker::FirecrackerBackend>(config.fc_binary, config.run_dir));
  }
  return fail(ErrorKind::kInvalid,
              "unknown hypervisor \"{}\" (cloud-hypervisor, firecracker or qemu)", name);
}

Result<std::string> select_backend(std::string_view requested, const model::Config& config,
                                   const BackendNeeds& needs,
                                   const std::function<bool()>& kvm_usable) {
  std::string_view name = requested;
  if (name.empty()) name = config.hypervisor;
  if (name.empty() && config.use_firecracker) name = kFirecracker;
  if (name.empty() || name == "auto") name = choose(config, needs, kvm_usable);
  COCOON_TRY(make_backend(name, config), "choose the hypervisor");
  return std::string(name);
}

}  // namespace cocoon::vmm
