// SPDX-License-Identifier: Apache-2.0
#include "vmm/firecracker/version.h"

#include "vmm/firecracker/plan.h"
#include "vmm/installed.h"

namespace cocoon::vmm::firecracker {

Result<Version> parse_version(std::string_view line) {
  return parse_version_line(line, "Firecracker v");
}

Result<Capabilities> capabilities_of(const Version& version) {
  Capabilities out;
  out.version = version;
  out.direct_boot = true;
  out.needs_kvm = true;
  out.needs_vmlinux = version < kBootsBzImage;
  out.prefers_vmlinux = true;
  out.ends_by_reboot = true;
  out.snapshots = true;
  out.mmap_restore = true;
  out.incremental = true;
  out.graceful_stop = GracefulStop::kCtrlAltDel;
  out.max_disks = static_cast<int>(kMaxDisks);
  out.max_cpus = kMaxCpus;
  out.max_nics = model::kMaxNics;
  return out;
}

}  // namespace cocoon::vmm::firecracker
