// SPDX-License-Identifier: Apache-2.0
// What real Cloud Hypervisors saved (tests/fixtures/saved), with the record that such a guest would
// have had.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "base/units.h"
#include "sys/files.h"
#include "unit/vmm/sample_vm.h"
#include "vmm/cloud_hypervisor/plan.h"
#include "vmm/cloud_hypervisor/snapshot.h"

namespace cocoon::vmm::cloud_hypervisor::test {

inline std::string read_fixture(const std::string& name) {
  auto text = sys::read_file(std::string(COCOON_FIXTURES_DIR) + "/saved/" + name, 1 << 20);
  EXPECT_TRUE(text) << name;
  return text ? *text : "";
}

// The recorded guest: two layers, COW and data disk, one NIC, an image with a kernel of its own.
inline model::Vm recorded_vm(std::int64_t memory) {
  model::Vm vm = vmm::test::sample_vm();
  vm.hypervisor = "cloud-hypervisor";
  vm.config.cpu = 1;
  vm.config.memory = memory;
  vm.boot.boot_kit = false;
  vm.disks = {vmm::test::layer(0), vmm::test::layer(1), vmm::test::cow(), vmm::test::data("db")};
  model::Nic nic = vmm::test::nic(0);
  nic.mac = "02:00:00:00:00:01";
  vm.nics = {nic};
  Plan plan = *make_plan(vm);
  // The recorded program named them itself.
  for (std::size_t index = 0; index < plan.disks.size(); ++index) {
    plan.disks[index].id = fmt::format("_disk{}", index);
  }
  vm.device_plan = plan_to_json(plan);
  return vm;
}

// Another VM that goes on from it: an identity of its own, the same devices.
inline model::Vm clone_of(const model::Vm& vm) {
  model::Vm clone = vm;
  clone.id = "ZZQZ7WJ5M2XA4TBN6RCVYDHEPL";
  clone.config.name = "second";
  for (model::Nic& nic : clone.nics) {
    nic.mac = "0a:58:0a:58:ff:0d";
    nic.network->ip = "10.88.0.77";
  }
  return clone;
}

struct Saved {
  model::Vm vm;
  SavedTexts texts;
};

inline Saved recorded(const std::string& name, std::int64_t memory) {
  return {recorded_vm(memory),
          {read_fixture(name + ".config.json"), read_fixture(name + ".state.json")}};
}
inline Saved small() { return recorded("ch-v53.0.0-256M", 256 * kMiB); }
// Memory in two ranges: below and above the hole under 4 GiB.
inline Saved large() { return recorded("ch-v53.0.0-3584M", 3584 * kMiB); }
inline Saved old() { return recorded("ch-v51.1.0-256M", 256 * kMiB); }

// One that was launched as plan_launch does: boot kit, devices with our names, a UUID; no NIC.
inline Saved boot_kit() {
  model::Vm vm = recorded_vm(512 * kMiB);
  vm.boot.boot_kit = true;
  vm.disks = {vmm::test::layer(0), vmm::test::modules(), vmm::test::cow(), vmm::test::data("db")};
  vm.nics.clear();
  vm.device_plan = plan_to_json(*make_plan(vm));
  return {vm,
          {read_fixture("ch-v53.0.0-boot-kit.config.json"),
           read_fixture("ch-v53.0.0-boot-kit.state.json")}};
}

}  // namespace cocoon::vmm::cloud_hypervisor::test
