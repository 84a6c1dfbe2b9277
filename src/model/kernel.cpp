// SPDX-License-Identifier: Apache-2.0
#include "model/kernel.h"

#include <algorithm>

#include "model/json_fields.h"

namespace cocoon::model {
namespace {

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

Result<void> check_kernel_name(std::string_view name) {
  constexpr std::size_t kLongest = 63;
  bool good = !name.empty() && name.size() <= kLongest && is_alnum(name[0]) &&
              std::all_of(name.begin(), name.end(),
                          [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
  if (good) return {};
  return fail(ErrorKind::kInvalid,
              "invalid kernel name \"{}\": 1-63 letters, digits, '.', '_' or '-', starting with a "
              "letter or digit",
              name);
}

nlohmann::json to_stored_json(const Kernel& kernel) {
  return {{"id", kernel.id},
          {"version", kernel.version},
          {"architecture", kernel.architecture},
          {"format", kernel.format},
          {"modules_blob", kernel.modules_blob},
          {"initramfs_modules", kernel.initramfs_modules},
          {"kernel_sha256", kernel.kernel_sha256},
          {"initramfs_sha256", kernel.initramfs_sha256},
          {"kernel_size", kernel.kernel_size},
          {"initramfs_size", kernel.initramfs_size},
          {"modules_size", kernel.modules_size},
          {"vmlinux_size", kernel.vmlinux_size},
          {"created_at", kernel.created_at}};
}

Result<Kernel> parse_kernel(const nlohmann::json& json) {
  Kernel kernel;
  Fields fields(json, "kernel");
  fields.get("id", kernel.id);
  fields.get("version", kernel.version);
  fields.get("architecture", kernel.architecture);
  fields.get("format", kernel.format);
  fields.get("modules_blob", kernel.modules_blob);
  fields.get("initramfs_modules", kernel.initramfs_modules);
  fields.get("kernel_sha256", kernel.kernel_sha256);
  fields.get("initramfs_sha256", kernel.initramfs_sha256);
  fields.get("kernel_size", kernel.kernel_size);
  fields.get("initramfs_size", kernel.initramfs_size);
  fields.get("modules_size", kernel.modules_size);
  fields.get("vmlinux_size", kernel.vmlinux_size);
  fields.get("created_at", kernel.created_at);
  COCOON_TRY(fields.check());
  return kernel;
}

std::int64_t total_size(const Kernel& kernel) {
  return kernel.kernel_size + kernel.initramfs_size + kernel.modules_size + kernel.vmlinux_size;
}

nlohmann::json to_public_json(const KernelName& named) {
  const Kernel& kernel = named.kernel;
  return {{"id", kernel.id},
          {"name", named.name},
          {"default", named.is_default},
          {"version", kernel.version},
          {"architecture", kernel.architecture},
          {"format", kernel.format},
          {"size", total_size(kernel)},
          {"modules", !kernel.modules_blob.empty()},
          {"created_at", kernel.created_at}};
}

}  // namespace cocoon::model
