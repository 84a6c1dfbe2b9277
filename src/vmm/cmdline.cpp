// SPDX-License-Identifier: Apache-2.0
#include "vmm/cmdline.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace cocoon::vmm {
namespace {

// Image layers, as opposed to other read-only disks of ours (the module tree).
bool is_image_layer(const model::Disk& disk) {
  return disk.role == model::DiskRole::kLayer && disk.serial.starts_with("cocoon-layer");
}

}  // namespace

std::string boot_kit_cmdline(std::string_view console) {
  return fmt::format("console={} quiet panic=-1 reboot=k", console);
}

std::string virtio_disk_name(std::size_t index) {
  std::string letters;
  for (std::size_t rest = index + 1; rest > 0; rest = (rest - 1) / 26) {
    letters.insert(letters.begin(), static_cast<char>('a' + (rest - 1) % 26));
  }
  return "vd" + letters;
}

Result<std::string> image_cmdline(const model::Vm& vm, std::string_view console, DiskNames names) {
  std::vector<std::string> layers;
  std::string cow;
  for (std::size_t i = 0; i < vm.disks.size(); ++i) {
    const model::Disk& disk = vm.disks[i];
    std::string name = names == DiskNames::kOrder ? "/dev/" + virtio_disk_name(i) : disk.serial;
    if (is_image_layer(disk)) layers.push_back(name);
    if (disk.role == model::DiskRole::kCow) cow = name;
  }
  if (layers.empty() || cow.empty()) {
    return fail(ErrorKind::kInvalid, "direct boot needs image layers and a copy-on-write disk");
  }
  std::reverse(layers.begin(), layers.end());  // the topmost layer comes first
  std::string line = fmt::format(
      "console={} loglevel=3 boot=cocoon-overlay cocoon.layers={} cocoon.cow={} "
      "clocksource=kvm-clock rw cocoon.hostname={}",
      console, fmt::join(layers, ","), cow, vm.config.name);
  if (line.size() > kMaxCmdline) {
    return fail(ErrorKind::kInvalid, "the kernel command line has {} bytes; {} is the limit",
                line.size(), kMaxCmdline);
  }
  return line;
}

}  // namespace cocoon::vmm
