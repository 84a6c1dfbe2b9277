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

std::string image_nic_arguments(const model::Vm& vm) {
  if (vm.nics.empty()) return {};
  std::string line = " net.ifnames=0";
  for (std::size_t i = 0; i < vm.nics.size(); ++i) {
    const model::Nic& nic = vm.nics[i];
    if (!nic.network) continue;
    line += fmt::format(" ip={}::{}:{}:{}:eth{}:off", nic.network->ip, nic.network->gateway,
                        model::netmask(nic.network->prefix), vm.config.name, i);
    int servers = 0;
    for (const std::string& server : nic.dns) {
      // An IPv6 address's colons would be taken for separators.
      if (!model::is_ipv4(server) || ++servers > 2) continue;
      line += ":" + server;
    }
  }
  return line;
}

}  // namespace

std::string boot_kit_cmdline(std::string_view console) {
  return fmt::format("console={} quiet panic=-1 reboot=k", console);
}

std::string boot_kit_nic_arguments(const model::Vm& vm) {
  return vm.nics.empty() ? "" : " net.ifnames=0";
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
  line += image_nic_arguments(vm);
  if (line.size() > kMaxLength) {
    return fail(ErrorKind::kInvalid, "the kernel command line has {} bytes; {} is the limit",
                line.size(), kMaxLength);
  }
  return line;
}

}  // namespace cocoon::vmm
