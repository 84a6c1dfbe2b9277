// SPDX-License-Identifier: Apache-2.0
// A VM as the engine would hand it over, for tests of renderers.
#pragma once

#include "model/vm.h"

namespace cocoon::vmm::test {

inline model::Disk layer(int index) {
  model::Disk disk;
  disk.path = fmt::format("layer{}.erofs", index);
  disk.read_only = true;
  disk.serial = fmt::format("cocoon-layer{}", index);
  disk.role = model::DiskRole::kLayer;
  return disk;
}

inline model::Disk cow() {
  model::Disk disk;
  disk.path = "cow.raw";
  disk.serial = "cocoon-cow";
  disk.role = model::DiskRole::kCow;
  return disk;
}

inline model::Disk modules() {
  model::Disk disk;
  disk.path = "modules.erofs";
  disk.read_only = true;
  disk.serial = "cocoon-modules";
  disk.role = model::DiskRole::kLayer;
  return disk;
}

inline model::Disk data(const std::string& name) {
  model::Disk disk;
  disk.path = fmt::format("data-{}.raw", name);
  disk.serial = name;
  disk.role = model::DiskRole::kData;
  disk.fstype = "ext4";
  disk.mount_point = "/mnt/" + name;
  return disk;
}

inline model::Nic nic(int index) {
  model::Nic out;
  out.tap = fmt::format("tap{}", index);
  out.mac = fmt::format("0a:58:0a:58:00:{:02x}", index + 12);
  out.backend = model::kCniNic;
  out.netns_path = "/run/netns/cocoon-K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
  out.network = model::NicAddress{fmt::format("10.88.0.{}", index + 12), "10.88.0.1", 16};
  out.dns = {"8.8.8.8", "fd00::1", "1.1.1.1", "9.9.9.9"};
  return out;
}

inline model::Vm sample_vm() {
  model::Vm vm;
  vm.id = "K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
  vm.hypervisor = "qemu";
  vm.config.name = "web";
  vm.config.cpu = 2;
  vm.config.memory = std::int64_t{512} << 20;
  vm.disks = {layer(0), layer(1), cow(), modules()};
  vm.boot.kernel = "kernel";
  vm.boot.initrd = "initrd";
  vm.boot.boot_kit = true;
  vm.uid = 1879048193;
  return vm;
}

}  // namespace cocoon::vmm::test
