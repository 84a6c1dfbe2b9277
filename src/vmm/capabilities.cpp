// SPDX-License-Identifier: Apache-2.0
#include "vmm/capabilities.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace cocoon::vmm {

std::string Version::to_string() const { return fmt::format("{}.{}.{}", major, minor, patch); }

std::string_view graceful_stop_name(GracefulStop stop) {
  switch (stop) {
    case GracefulStop::kNone:
      return "none";
    case GracefulStop::kPowerButton:
      return "power_button";
    case GracefulStop::kCtrlAltDel:
      return "ctrl_alt_del";
  }
  return "none";
}

std::vector<std::pair<std::string_view, bool>> capability_flags(const Capabilities& able) {
  return {{"direct_boot", able.direct_boot},
          {"uefi", able.uefi},
          {"windows", able.windows},
          {"qcow2", able.qcow2},
          {"disk_serials", able.disk_serials},
          {"per_disk_direct_io", able.per_disk_direct_io},
          {"queue_sizes", able.queue_sizes},
          {"hotplug", able.hotplug},
          {"multi_queue_nics", able.multi_queue_nics},
          {"user_network", able.user_network},
          {"reboot_in_place", able.reboot_in_place},
          {"needs_kvm", able.needs_kvm},
          {"landlock", able.landlock},
          {"snapshots", able.snapshots},
          {"mmap_restore", able.mmap_restore},
          {"ondemand_restore", able.ondemand_restore},
          {"incremental", able.incremental},
          {"nic_swap", able.nic_swap},
          {"needs_vmlinux", able.needs_vmlinux},
          {"ends_by_reboot", able.ends_by_reboot}};
}

std::string describe(const Capabilities& able) {
  std::vector<std::string_view> names;
  for (const auto& [name, is_able] : capability_flags(able)) {
    if (is_able) names.push_back(name);
  }
  return fmt::format("version {}: {}; stop by {}; up to {} disks, {} NICs and {} vCPUs",
                     able.version.to_string(), fmt::join(names, ", "),
                     graceful_stop_name(able.graceful_stop), able.max_disks, able.max_nics,
                     able.max_cpus);
}

}  // namespace cocoon::vmm
