// SPDX-License-Identifier: Apache-2.0
// Golden command lines.
#include <gtest/gtest.h>

#include "unit/golden.h"
#include "unit/vmm/sample_vm.h"
#include "vmm/qemu/argv.h"
#include "vmm/vm_uuid.h"

namespace cocoon::vmm::qemu {
namespace {

constexpr Version kVersion{7, 2, 22};

std::string one_per_line(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += word + "\n";
  return out;
}

using cocoon::test::expect_golden;

Result<Launch> render(const model::Vm& vm, Accel accel) {
  Plan plan = COCOON_TRY(make_plan(vm, kVersion));
  return render_launch(vm, plan, accel);
}

TEST(QemuArgv, BootKitUnderEmulation) {
  auto launch = render(test::sample_vm(), Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  expect_golden("boot_kit_tcg.args", one_per_line(launch->args));
}

TEST(QemuArgv, Nics) {
  model::Vm vm = test::sample_vm();
  vm.nics = {test::nic(0), test::nic(1)};
  vm.nics[0].mtu = 9000;
  vm.nics[1].num_queues = 4;
  auto launch = render(vm, Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  std::string args = one_per_line(launch->args);
  for (const char* wanted :
       {"tap,id=net0,ifname=tap0,script=no,downscript=no,vhost=off\n",
        "virtio-net-pci,id=nic0,netdev=net0,mac=0a:58:0a:58:00:0c,host_mtu=9000,"
        "rx_queue_size=512,romfile=,bus=pcie.0,addr=0x16\n",
        "tap,id=net1,ifname=tap1,script=no,downscript=no,vhost=off,queues=2\n",
        "mac=0a:58:0a:58:00:0d,mq=on,vectors=6,rx_queue_size=512",
        "reboot=k net.ifnames=0 no_timer_check\n"}) {
    EXPECT_NE(args.find(wanted), std::string::npos) << wanted << " in\n" << args;
  }
}

TEST(QemuArgv, UserModeNic) {
  model::Vm vm = test::sample_vm();
  vm.nics = {test::nic(0)};
  vm.nics[0].backend = model::kUserNic;
  auto launch = render(vm, Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  EXPECT_NE(one_per_line(launch->args)
                .find("stream,id=net0,server=off,addr.type=unix,addr.path=sock/net0\n"),
            std::string::npos);
}

TEST(QemuArgv, PlanAndRecordMustFit) {
  model::Vm vm = test::sample_vm();
  vm.nics = {test::nic(0)};
  Plan plan = *make_plan(vm, kVersion);
  vm.nics[0].num_queues = 8;
  EXPECT_EQ(render_launch(vm, plan, Accel::kTcg).error().kind, ErrorKind::kCorrupt);
  vm.nics.clear();
  EXPECT_EQ(render_launch(vm, plan, Accel::kTcg).error().kind, ErrorKind::kCorrupt);
}

TEST(QemuArgv, OwnKernelWithDataDisksUnderKvm) {
  model::Vm vm = test::sample_vm();
  vm.boot.boot_kit = false;
  vm.config.disk_queue_size = 512;
  vm.config.cpu = 4;
  model::Disk direct = test::data("db");
  direct.direct_io = true;
  vm.disks = {test::layer(0), test::cow(), direct, test::data("logs")};
  auto launch = render(vm, Accel::kKvm);
  ASSERT_TRUE(launch) << launch.error().to_string();
  expect_golden("own_kernel_kvm.args", one_per_line(launch->args));
}

TEST(QemuArgv, NamesOnlyFilesOfTheVmDirectory) {
  auto launch = render(test::sample_vm(), Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  for (const std::string& word : launch->args) {
    EXPECT_EQ(word.find("=/"), std::string::npos) << word;
    EXPECT_FALSE(word.starts_with("/")) << word;
    EXPECT_EQ(word.find("\"/"), std::string::npos) << word;
  }
}

TEST(QemuArgv, SaysWhatMustBeInTheDirectory) {
  auto launch = render(test::sample_vm(), Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  EXPECT_EQ(launch->sockets, (std::vector<std::string>{"sock/qmp", "sock/agent"}));
  EXPECT_EQ(launch->memory_file_bytes, std::int64_t{512} << 20);
}

TEST(QemuArgv, KeepsAStoredCommandLineOfAnImageAsItIs) {
  model::Vm vm = test::sample_vm();
  vm.boot.boot_kit = false;
  vm.boot.cmdline = "console=ttyS0 init=/lib/systemd/systemd";
  auto launch = render(vm, Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  EXPECT_NE(std::find(launch->args.begin(), launch->args.end(), vm.boot.cmdline),
            launch->args.end());
}

TEST(QemuArgv, DoublesCommasOfASerial) {
  model::Vm vm = test::sample_vm();
  vm.disks[0].serial = "a,b";
  auto launch = render(vm, Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  EXPECT_NE(one_per_line(launch->args).find("serial=a,,b,num-queues"), std::string::npos);
}

TEST(QemuArgv, RefusesARecordThatDoesNotFitItsPlan) {
  model::Vm vm = test::sample_vm();
  auto plan = make_plan(vm, kVersion);
  ASSERT_TRUE(plan);
  std::swap(vm.disks[0], vm.disks[1]);
  auto swapped = render_launch(vm, *plan, Accel::kTcg);
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().kind, ErrorKind::kCorrupt);
  vm.disks.pop_back();
  auto fewer = render_launch(vm, *plan, Accel::kTcg);
  ASSERT_FALSE(fewer);
  EXPECT_EQ(fewer.error().kind, ErrorKind::kCorrupt);
}

TEST(QemuArgv, CloudImageWithItsSeed) {
  model::Vm vm = test::sample_vm();
  vm.boot = {};
  vm.boot.firmware = kFirmwareFile;
  model::Disk overlay = test::cow();
  overlay.path = "overlay.qcow2";
  overlay.serial = "";
  overlay.backing = "base.raw";
  model::Disk seed;
  seed.path = "cidata.img";
  seed.read_only = true;
  seed.role = model::DiskRole::kCidata;
  vm.disks = {overlay, test::data("db"), seed};
  vm.config.no_direct_io = true;
  auto launch = render(vm, Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  expect_golden("cloud_image_tcg.args", one_per_line(launch->args));
}

TEST(QemuArgv, RefusesAMissingKernel) {
  model::Vm vm = test::sample_vm();
  vm.boot.kernel.clear();
  auto bare = render(vm, Accel::kTcg);
  ASSERT_FALSE(bare);
  EXPECT_EQ(bare.error().kind, ErrorKind::kInvalid);
}

TEST(VmUuid, HoldsTheIdsBitsAndTheMarksOfARandomUuid) {
  // A = 0, 7 = 31.
  EXPECT_EQ(*vm_uuid("AAAAAAAAAAAAAAAAAAAAAAAAAA"), "00000000-0000-4000-8000-000000000000");
  EXPECT_EQ(*vm_uuid("77777777777777777777777777"), "ffffffff-ffff-4fff-bfff-ffffffffffff");
  EXPECT_EQ(*vm_uuid("BAAAAAAAAAAAAAAAAAAAAAAAAA"), "08000000-0000-4000-8000-000000000000");
  EXPECT_NE(*vm_uuid("K3QZ7WJ5M2XA4TBN6RCVYDHEPL"), *vm_uuid("K3QZ7WJ5M2XA4TBN6RCVYDHEAL"));
  EXPECT_FALSE(vm_uuid("short"));
}

}  // namespace
}  // namespace cocoon::vmm::qemu
