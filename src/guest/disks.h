// SPDX-License-Identifier: Apache-2.0
//
// Finds the VM's disks. Cloud Hypervisor and QEMU give each virtio disk the serial that boot.json
// names; Firecracker cannot, there the order counts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guest/boot_config.h"
#include "guest/fd.h"

namespace cocoon::guest {

/// The kernel's name of the virtio disk at a place: 0 vda, 25 vdz, 26 vdaa (virtblk_name_format).
std::string virtio_disk_name(unsigned index);

/// A virtio disk that the kernel shows, with its serial ("" where it has none).
struct SeenDisk {
  std::string name;
  std::string serial;
};

/// The kernel name of `wanted` among `seen`, or "". A serial match counts first. The place counts
/// only if the disk there has no serial of its own: none at all, or decimal digits alone, which is
/// what Firecracker makes up from the host's device and inode numbers (as kvmtool does).
std::string choose_disk(const std::vector<SeenDisk>& seen, const DiskRef& wanted);

class DiskFinder {
 public:
  /// The directories are /sys/block and /dev outside of tests.
  DiskFinder(std::string sys_block, std::string dev)
      : sys_block_(std::move(sys_block)), dev_(std::move(dev)) {}

  /// The device path of a disk; looks again every 20 ms until the deadline. Fails with `what`.
  Result<std::string> find(const DiskRef& wanted, const std::string& what, Deadline deadline) const;

 private:
  std::vector<SeenDisk> scan() const;

  std::string sys_block_;
  std::string dev_;
};

/// Seconds to wait for disks: `cocoon.timeout=N` of the kernel command line, else 10; at most 3600.
unsigned disk_timeout(std::string_view kernel_command_line);

}  // namespace cocoon::guest
