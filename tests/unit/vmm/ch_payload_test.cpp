// SPDX-License-Identifier: Apache-2.0
// What Cloud Hypervisor is told, as golden files and against its published API.
#include <gtest/gtest.h>

#include "unit/golden.h"
#include "unit/vmm/api_definition.h"
#include "unit/vmm/sample_vm.h"
#include "vmm/cloud_hypervisor/payload.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

constexpr Version kV51{51, 1, 0};
constexpr Version kV53{53, 0, 0};
constexpr Host kPlain{kV53, false, 0};
constexpr Host kFull{kV53, true, 2 << 20};

Result<Launch> render(const model::Vm& vm, const Host& host = kPlain) {
  Plan plan = COCOON_TRY(make_plan(vm));
  return render_launch(vm, plan, host);
}

model::Vm cloud_vm() {
  model::Vm vm = test::sample_vm();
  vm.boot = {};
  vm.boot.firmware = "firmware.fd";
  model::Disk overlay;
  overlay.path = "overlay.qcow2";
  overlay.role = model::DiskRole::kCow;
  overlay.backing = "base.raw";
  model::Disk seed;
  seed.path = "cidata.img";
  seed.read_only = true;
  seed.role = model::DiskRole::kCidata;
  vm.disks = {overlay, test::data("db"), seed};
  return vm;
}

model::Vm windows_vm() {
  model::Vm vm = cloud_vm();
  vm.config.windows = true;
  vm.disks.pop_back();
  return vm;
}

void expect_config(const std::string& name, const Result<Launch>& launch) {
  ASSERT_TRUE(launch) << launch.error().to_string();
  ASSERT_EQ(launch->calls.size(), 2U);
  EXPECT_EQ(launch->calls[0].path, "/api/v1/vm.create");
  EXPECT_EQ(launch->calls[1], (ApiCall{"PUT", "/api/v1/vm.boot", nullptr}));
  cocoon::test::expect_golden(name, launch->calls[0].body.dump(2) + "\n");
}

TEST(ChPayload, BootKit) { expect_config("ch_boot_kit.json", render(test::sample_vm())); }

TEST(ChPayload, OwnKernelWithDataDisksOnAFullHost) {
  model::Vm vm = test::sample_vm();
  vm.boot.boot_kit = false;
  vm.config.cpu = 4;
  vm.config.disk_queue_size = 256;
  model::Disk direct = test::data("db");
  direct.direct_io = false;
  vm.disks = {test::layer(0), test::cow(), direct, test::data("logs")};
  expect_config("ch_own_kernel.json", render(vm, kFull));
}

TEST(ChPayload, CloudImage) { expect_config("ch_cloud_image.json", render(cloud_vm())); }

TEST(ChPayload, Windows) {
  auto launch = render(windows_vm());
  expect_config("ch_windows.json", launch);
  EXPECT_FALSE(launch->calls[0].body.contains("balloon"));
}

TEST(ChPayload, MemoryInAFile) {
  model::Vm vm = test::sample_vm();
  vm.memory_backing = "file";
  auto launch = render(vm, kFull);
  expect_config("ch_memory_file.json", launch);
  EXPECT_EQ(launch->memory_file_bytes, vm.config.memory);
}

TEST(ChPayload, NicsAreTapsOfTheNamespace) {
  model::Vm vm = test::sample_vm();
  vm.config.cpu = 2;
  vm.nics = {test::nic(0), test::nic(1)};
  vm.nics[0].num_queues = 4;
  vm.nics[1].mtu = 9000;
  auto launch = render(vm);
  ASSERT_TRUE(launch) << launch.error().to_string();
  const auto& net = launch->calls[0].body["net"];
  ASSERT_EQ(net.size(), 2U);
  EXPECT_EQ(
      net[0].dump(),
      R"({"id":"net0","tap":"tap0","mac":"0a:58:0a:58:00:0c","num_queues":4,"queue_size":512,)"
      R"("offload_tso":true,"offload_ufo":true,"offload_csum":true})");
  EXPECT_FALSE(net[1].contains("mtu")) << "setting it takes CAP_NET_ADMIN";
  std::string cmdline = launch->calls[0].body["payload"]["cmdline"];
  EXPECT_TRUE(cmdline.ends_with(" net.ifnames=0")) << cmdline;
  vm.nics.pop_back();
  Plan two = *make_plan(vm);
  vm.nics.clear();
  EXPECT_EQ(render_launch(vm, two, kPlain).error().kind, ErrorKind::kCorrupt);
}

TEST(ChPayload, TellsOldVersionsNothingTheyDoNotKnow) {
  auto launch = render(test::sample_vm(), {kV51, true, 2 << 20});
  ASSERT_TRUE(launch);
  const auto& config = launch->calls[0].body;
  EXPECT_EQ(config["memory"],
            (nlohmann::ordered_json{
                {"size", 512 << 20}, {"hugepages", true}, {"hugepage_size", 2 << 20}}));
  EXPECT_TRUE(config["platform"].contains("uuid"));
}

TEST(ChPayload, StartsWithNothingButTheSocket) {
  auto launch = render(test::sample_vm());
  ASSERT_TRUE(launch);
  EXPECT_EQ(launch->args,
            (std::vector<std::string>{"--api-socket", "path=sock/api", "--seccomp", "true"}));
  EXPECT_EQ(launch->sockets, (std::vector<std::string>{"sock/api", "sock/api.lock", "sock/vsock"}));
  EXPECT_EQ(launch->memory_file_bytes, 0);
}

TEST(ChPayload, NamesEveryFileRelative) {
  for (const model::Vm& vm : {test::sample_vm(), cloud_vm(), windows_vm()}) {
    auto launch = render(vm);
    ASSERT_TRUE(launch);
    std::string config = launch->calls[0].body.dump();
    for (auto at = config.find("\"/"); at != std::string::npos; at = config.find("\"/", at + 1)) {
      EXPECT_EQ(config.substr(at, 14), "\"/dev/urandom\"");
    }
  }
}

TEST(ChPayload, RefusesARecordThatIsNotItsPlans) {
  model::Vm vm = test::sample_vm();
  auto plan = make_plan(vm);
  ASSERT_TRUE(plan);
  model::Vm other = vm;
  other.disks[2].path = "other.raw";
  EXPECT_EQ(render_launch(other, *plan, kPlain).error().kind, ErrorKind::kCorrupt);
  other.disks.pop_back();
  EXPECT_EQ(render_launch(other, *plan, kPlain).error().kind, ErrorKind::kCorrupt);
  vm.boot.kernel.clear();
  EXPECT_EQ(render_launch(vm, *plan, kPlain).error().kind, ErrorKind::kInvalid);
}

TEST(ChPayload, FitsThePublishedApi) {
  constexpr const char* kFile = "cloud-hypervisor.openapi.yaml";
  auto api = test::ApiDefinition::load(kFile, "/api/v1");
  if (!api) GTEST_SKIP() << "no API definition at " << test::ApiDefinition::place(kFile);
  model::Vm filed = test::sample_vm();
  filed.memory_backing = "file";
  model::Vm networked = test::sample_vm();
  networked.nics = {test::nic(0)};
  for (const model::Vm& vm : {test::sample_vm(), cloud_vm(), windows_vm(), filed, networked}) {
    auto launch = render(vm, kFull);
    ASSERT_TRUE(launch);
    for (const ApiCall& call : launch->calls) {
      for (const std::string& complaint : api->complaints(call)) ADD_FAILURE() << complaint;
    }
  }
  for (const char* path : {"vm.power-button", "vm.shutdown", "vmm.shutdown"}) {
    ApiCall call{"PUT", std::string("/api/v1/") + path, nullptr};
    for (const std::string& complaint : api->complaints(call)) ADD_FAILURE() << complaint;
  }
  EXPECT_TRUE(api->complaints({"GET", "/api/v1/vm.info", nullptr}).empty());
  // That it would find something:
  EXPECT_FALSE(api->complaints({"PUT", "/api/v1/vm.create", {{"payload", 7}}}).empty());
  EXPECT_FALSE(api->complaints({"PUT", "/api/v1/vm.create", nullptr}).empty());
  EXPECT_FALSE(api->complaints({"PUT", "/api/v1/vm.boot", {{"x", 1}}}).empty());
  EXPECT_FALSE(api->complaints({"GET", "/api/v1/vm.nothing", nullptr}).empty());
  auto wrong = *render(test::sample_vm());
  wrong.calls[0].body["serial"]["mode"] = "Loud";
  wrong.calls[0].body["disks"][0]["colour"] = 1;
  wrong.calls[0].body["cpus"].erase("boot_vcpus");
  EXPECT_EQ(api->complaints(wrong.calls[0]).size(), 3U);
}

}  // namespace
}  // namespace cocoon::vmm::cloud_hypervisor
