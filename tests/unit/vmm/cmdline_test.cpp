// SPDX-License-Identifier: Apache-2.0
#include "vmm/cmdline.h"

#include <gtest/gtest.h>

#include "unit/vmm/sample_vm.h"

namespace cocoon::vmm {
namespace {

TEST(BootKitCmdline, NamesTheConsoleAndHowTheMachineEnds) {
  EXPECT_EQ(boot_kit_cmdline("ttyS0"), "console=ttyS0 quiet panic=-1 reboot=k");
  EXPECT_EQ(boot_kit_cmdline("hvc0"), "console=hvc0 quiet panic=-1 reboot=k");
}

TEST(ImageCmdline, HasTheKeysOfTheOriginalInTheirOrder) {
  model::Vm vm = test::sample_vm();
  auto line = image_cmdline(vm, "ttyS0");
  ASSERT_TRUE(line) << line.error().to_string();
  EXPECT_EQ(
      *line,
      "console=ttyS0 loglevel=3 boot=cocoon-overlay cocoon.layers=cocoon-layer1,cocoon-layer0 "
      "cocoon.cow=cocoon-cow clocksource=kvm-clock rw cocoon.hostname=web");
}

TEST(ImageCmdline, OrdersTenAndMoreLayersByTheirPlaceAndNotByTheirName) {
  model::Vm vm = test::sample_vm();
  vm.disks.clear();
  for (int index = 0; index < 11; ++index) vm.disks.push_back(test::layer(index));
  vm.disks.push_back(test::cow());
  auto line = image_cmdline(vm, "hvc0");
  ASSERT_TRUE(line) << line.error().to_string();
  EXPECT_NE(line->find("cocoon.layers=cocoon-layer10,cocoon-layer9,cocoon-layer8,"),
            std::string::npos)
      << *line;
}

TEST(ImageCmdline, RefusesAVmWithoutLayersOrWithoutRootDisk) {
  model::Vm vm = test::sample_vm();
  vm.disks = {test::cow()};
  auto line = image_cmdline(vm, "ttyS0");
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().kind, ErrorKind::kInvalid);
  vm.disks = {test::layer(0), test::modules()};
  EXPECT_FALSE(image_cmdline(vm, "ttyS0"));
}

TEST(ImageCmdline, RefusesALineThatAKernelWouldCutOff) {
  model::Vm vm = test::sample_vm();
  vm.config.name = std::string(2000, 'n');
  auto line = image_cmdline(vm, "ttyS0");
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().kind, ErrorKind::kInvalid);
}

TEST(ImageCmdline, NamesAndAddressesOfNics) {
  model::Vm vm = test::sample_vm();
  EXPECT_EQ(boot_kit_nic_arguments(vm), "");
  vm.nics = {test::nic(0), test::nic(1)};
  vm.nics[1].network.reset();  // DHCP
  EXPECT_EQ(boot_kit_nic_arguments(vm), " net.ifnames=0");
  auto line = image_cmdline(vm, "hvc0");
  ASSERT_TRUE(line) << line.error().to_string();
  EXPECT_TRUE(
      line->ends_with("cocoon.hostname=web net.ifnames=0 "
                      "ip=10.88.0.12::10.88.0.1:255.255.0.0:web:eth0:off:8.8.8.8:1.1.1.1"))
      << *line;
}

}  // namespace
}  // namespace cocoon::vmm
