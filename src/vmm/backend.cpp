// SPDX-License-Identifier: Apache-2.0
#include "vmm/backend.h"

#include "vmm/qemu/backend.h"

namespace cocoon::vmm {
namespace {

constexpr std::string_view kQemu = "qemu";
constexpr std::string_view kCloudHypervisor = "cloud-hypervisor";
constexpr std::string_view kFirecracker = "firecracker";

}  // namespace

Result<model::DevicePlan> Backend::replan_nics(const model::Vm&) const {
  return fail(ErrorKind::kUnsupported, "{} cannot change the NICs of a VM that exists", name());
}

Result<std::unique_ptr<Backend>> make_backend(std::string_view name, const model::Config& config) {
  if (name == kQemu) {
    return std::unique_ptr<Backend>(
        std::make_unique<qemu::QemuBackend>(config.qemu_binary, config.run_dir));
  }
  if (name == kCloudHypervisor || name == kFirecracker) {
    return fail(ErrorKind::kUnsupported, "this build has no {} backend; use qemu", name);
  }
  return fail(ErrorKind::kInvalid,
              "unknown hypervisor \"{}\" (cloud-hypervisor, firecracker or qemu)", name);
}

Result<std::string> select_backend(std::string_view requested, const model::Config& config) {
  std::string_view name = requested;
  if (name.empty()) name = config.hypervisor;
  if (name.empty() && config.use_firecracker) name = kFirecracker;
  if (name.empty() || name == "auto") name = kQemu;  // the only one that this build contains
  COCOON_TRY(make_backend(name, config), "choose the hypervisor");
  return std::string(name);
}

}  // namespace cocoon::vmm
