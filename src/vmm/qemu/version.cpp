// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/version.h"

#include "vmm/installed.h"

namespace cocoon::vmm::qemu {

Result<Version> parse_version(std::string_view output) {
  return parse_version_line(output, "QEMU emulator version ");
}

Result<std::string> find_qemu(const std::string& binary) {
  return find_binary(binary, "package qemu-system-x86");
}

Result<Version> qemu_version(const std::string& path, const std::filesystem::path& run_dir) {
  return installed_version(path, run_dir, {"qemu-version", parse_version});
}

}  // namespace cocoon::vmm::qemu
