// SPDX-License-Identifier: Apache-2.0
#include "vmm/backend.h"

#include "vmm/firecracker/backend.h"
#include "vmm/qemu/backend.h"

namespace cocoon::vmm {
namespace {

constexpr std::string_view kQemu = "qemu";
constexpr std::string_view kCloudHypervisor = "cloud-hypervisor";
constexpr std::string_view kFirecracker = "firecracker";

}  // namespace

Result<std::unique_ptr<Backend>> make_backend(std::string_view name, const model::Config& config) {
  if (name == kQemu) {
    return std::unique_ptr<Backend>(
        std::make_unique<qemu::QemuBackend>(config.qemu_binary, config.run_dir));
  }
  if (name == kFirecracker) {
    return std::unique_ptr<Backend>(
        std::make_unique<firecracker::FirecrackerBackend>(config.fc_binary, config.run_dir));
  }
  if (name == kCloudHypervisor) {
    return fail(ErrorKind::kUnsupported, "this build has no {} backend; use qemu", name);
  }
  return fail(ErrorKind::kInvalid,
              "unknown hypervisor \"{}\" (cloud-hypervisor, firecracker or qemu)", name);
}

Result<std::string> select_backend(std::string_view requested, const model::Config& config) {
  std::string_view name = requested;
  if (name.empty()) name = config.hypervisor;
  if (name.empty() && config.use_firecracker) name = kFirecracker;
  if (name.empty() || name == "auto") name = kQemu;
  COCOON_TRY(make_backend(name, config), "choose the hypervisor");
  return std::string(name);
}

}  // namespace cocoon::vmm
