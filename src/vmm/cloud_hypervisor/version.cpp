// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/version.h"

#include "vmm/installed.h"

namespace cocoon::vmm::cloud_hypervisor {

Result<Version> parse_version(std::string_view output) {
  return parse_version_line(output, "cloud-hypervisor v", 2);
}

Result<std::string> find_program(const std::string& binary) {
  return find_binary(binary, "releases are at github.com/cloud-hypervisor/cloud-hypervisor");
}

Result<Version> program_version(const std::string& path, const std::filesystem::path& run_dir) {
  Version version =
      COCOON_TRY(installed_version(path, run_dir, {"cloud-hypervisor-version", parse_version}));
  COCOON_TRY(check_oldest(path, version, kOldest));
  return version;
}

}  // namespace cocoon::vmm::cloud_hypervisor
