// SPDX-License-Identifier: Apache-2.0
#include "vmm/cmdline.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace cocoon::vmm {
namespace {

constexpr std::size_t kMaxLength = 2047;  // COMMAND_LINE_SIZE of x86 without the NUL

// Image layers, as opposed to other read-only disks of ours (the module tree).
bool is_image_layer(const model::Disk& disk) {
  return disk.role == model::DiskRole::kLayer && disk.serial.starts_with("cocoon-layer");
}

}  // namespace

std::string boot_kit_cmdline(std::string_view console) {
  return fmt::format("console={} quiet panic=-1 reboot=k", console);
}

Result<std::string> image_cmdline(const model::Vm& vm, std::string_view console) {
  std::vector<std::string_view> layers;
  std::string_view cow;
  for (const model::Disk& disk : vm.disks) {
    if (is_image_layer(disk)) layers.push_back(disk.serial);
    if (disk.role == model::DiskRole::kCow) cow = disk.serial;
  }
  if (layers.empty() || cow.empty()) {
    return fail(ErrorKind::kInvalid, "direct boot needs image layers and a copy-on-write disk");
  }
  std::reverse(layers.begin(), layers.end());  // the topmost layer comes first
  std::string line = fmt::format(
      "console={} loglevel=3 boot=cocoon-overlay cocoon.layers={} cocoon.cow={} "
      "clocksource=kvm-clock rw cocoon.hostname={}",
      console, fmt::join(layers, ","), cow, vm.config.name);
  if (line.size() > kMaxLength) {
    return fail(ErrorKind::kInvalid, "the kernel command line has {} bytes; {} is the limit",
                line.size(), kMaxLength);
  }
  return line;
}

}  // namespace cocoon::vmm
