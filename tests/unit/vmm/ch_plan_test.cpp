// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include <gtest/gtest.h>

#include "unit/vmm/sample_vm.h"
#include "vmm/cloud_hypervisor/host.h"
#include "vmm/cloud_hypervisor/plan.h"
#include "vmm/cloud_hypervisor/version.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

TEST(ChPlan, GivesWritableDisksAQueuePerVcpu) {
  model::Vm vm = test::sample_vm();
  vm.config.cpu = 3;
  vm.disks.push_back(test::data("db"));
  auto plan = make_plan(vm);
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->disks[0], (DiskPlan{"layer0.erofs", "disk-layer0", 1, 512}));
  EXPECT_EQ(plan->disks[2], (DiskPlan{"cow.raw", "disk-cow", 3, 512}));
  EXPECT_EQ(plan->disks[4], (DiskPlan{"data-db.raw", "disk-data-db", 3, 512}));
  vm.config.cpu = 40;
  EXPECT_EQ(make_plan(vm)->disks[2].queues, 16);
}

TEST(ChPlan, SurvivesItsJson) {
  auto plan = make_plan(test::sample_vm());
  ASSERT_TRUE(plan);
  auto again = parse_plan(nlohmann::json::parse(plan_to_json(*plan).dump()));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, *plan);
}

TEST(ChPlan, ChangesOnlyWhatChanged) {
  model::Vm vm = test::sample_vm();
  vm.disks.push_back(test::data("a"));
  auto plan = make_plan(vm);
  ASSERT_TRUE(plan);
  vm.disks.pop_back();
  vm.disks.insert(vm.disks.begin() + 2, test::data("b"));
  auto after = replan_disks(*plan, vm);
  ASSERT_TRUE(after) << after.error().to_string();
  EXPECT_EQ(after->disks[2], (DiskPlan{"data-b.raw", "disk-data-b", 2, 512}));
  EXPECT_EQ(after->disks[3], plan->disks[2]);
  EXPECT_EQ(after->disks.size(), vm.disks.size());
  std::swap(vm.disks[0], vm.disks[1]);
  EXPECT_EQ(replan_disks(*plan, vm).error().kind, ErrorKind::kCorrupt);
  while (vm.disks.size() <= kFreeSlotsDirect) {
    vm.disks.push_back(test::data(fmt::format("d{}", vm.disks.size())));
  }
  EXPECT_EQ(replan_disks(*plan, vm).error().kind, ErrorKind::kUnsupported);
}

TEST(ChPlan, TakesExactlyAsManyDisksAsThereAreSlots) {
  struct Case {
    bool firmware, windows;
    int places;
  };
  for (const Case& test : {Case{false, false, 26}, Case{true, false, 27}, Case{true, true, 28}}) {
    model::Vm vm = test::sample_vm();
    if (test.firmware) vm.boot.firmware = "firmware.fd";
    vm.config.windows = test.windows;
    vm.disks.clear();
    for (int index = 0; index < test.places; ++index) vm.disks.push_back(test::layer(index));
    EXPECT_TRUE(make_plan(vm));
    vm.disks.push_back(test::cow());
    auto over = make_plan(vm);
    ASSERT_FALSE(over);
    EXPECT_EQ(over.error().kind, ErrorKind::kUnsupported);
    EXPECT_EQ(over.error().cause,
              fmt::format("{} disks, but a Cloud Hypervisor guest of this kind has places for {} "
                          "(of its 32 PCI slots {} are taken)",
                          test.places + 1, test.places, 32 - test.places));
  }
  EXPECT_EQ(free_slots(test::sample_vm()), kFreeSlotsDirect);
}

TEST(ChPlan, NicsTakeSlotsAndKeepTheirPlan) {
  model::Vm vm = test::sample_vm();
  vm.config.cpu = 2;
  vm.config.queue_size = 256;
  vm.nics = {test::nic(0), test::nic(1)};
  vm.nics[0].num_queues = 4;
  auto plan = make_plan(vm);
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->nics, (std::vector<NicPlan>{{2, 256}, {1, 256}}));
  auto json = plan_to_json(*plan);
  EXPECT_EQ(json["format"], 2);
  EXPECT_EQ(*parse_plan(json), *plan);
  vm.config.queue_size = 512;
  vm.nics.push_back(test::nic(2));
  EXPECT_EQ(replan_nics(*plan, vm)->nics, (std::vector<NicPlan>{{2, 256}, {1, 256}, {1, 512}}));
  vm.nics.clear();
  EXPECT_EQ(plan_to_json(*replan_nics(*plan, vm))["format"], 1);
  vm.nics = {test::nic(0)};
  vm.nics[0].num_queues = 6;
  EXPECT_EQ(make_plan(vm).error().kind, ErrorKind::kUnsupported) << "more pairs than vCPUs";
  vm.nics[0].num_queues = 2;
  while (vm.disks.size() < 26) vm.disks.push_back(test::data(fmt::format("d{}", vm.disks.size())));
  auto over = make_plan(vm);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().cause.substr(0, 24), "26 disks and 1 NICs, but");
}

TEST(ChPlan, RefusesWhatNoGuestCanHave) {
  model::Vm vm = test::sample_vm();
  vm.config.cpu = 256;
  EXPECT_EQ(make_plan(vm).error().kind, ErrorKind::kUnsupported);
  vm = test::sample_vm();
  vm.config.memory += 4096;
  EXPECT_EQ(make_plan(vm).error().kind, ErrorKind::kInvalid);
  for (int size : {1, 2, 100, 2048}) {
    vm = test::sample_vm();
    vm.config.disk_queue_size = size;
    EXPECT_EQ(make_plan(vm).error().kind, ErrorKind::kInvalid) << size;
  }
  vm = test::sample_vm();
  vm.disks[1].path = vm.disks[0].path;
  EXPECT_EQ(make_plan(vm).error().kind, ErrorKind::kInvalid);
}

using Json = nlohmann::json;
struct DamageCase {
  const char* name;
  std::function<void(Json&)> damage;
};
class ChPlanDamage : public testing::TestWithParam<DamageCase> {};

TEST_P(ChPlanDamage, IsFound) {
  Json json = plan_to_json(*make_plan(test::sample_vm()));
  GetParam().damage(json);
  auto plan = parse_plan(json);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::kCorrupt);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ChPlanDamage,
    testing::Values(
        DamageCase{"Empty", [](Json& j) { j = Json::object(); }},
        DamageCase{"Null", [](Json& j) { j = nullptr; }},
        DamageCase{"OtherBackend", [](Json& j) { j["backend"] = "qemu"; }},
        DamageCase{"LaterFormat", [](Json& j) { j["format"] = 3; }},
        DamageCase{"OddNic",
                   [](Json& j) {
                     j["nics"] = {{{"queue_pairs", 9}}};
                   }},
        DamageCase{"NicsNoList", [](Json& j) { j["nics"] = 1; }},
        DamageCase{"NoVcpus", [](Json& j) { j["vcpus"] = 0; }},
        DamageCase{"OddMemory", [](Json& j) { j["memory"] = 12345; }},
        DamageCase{"DisksNoList", [](Json& j) { j["disks"] = 1; }},
        DamageCase{"DiskOutside", [](Json& j) { j["disks"][0]["path"] = "../x"; }},
        DamageCase{"OddId", [](Json& j) { j["disks"][0]["id"] = "__serial"; }},
        DamageCase{"OneIdTwice", [](Json& j) { j["disks"][0]["id"] = j["disks"][1]["id"]; }},
        DamageCase{"MoreQueuesThanVcpus", [](Json& j) { j["disks"][0]["queues"] = 3; }},
        DamageCase{"OddQueueSize", [](Json& j) { j["disks"][0]["queue_size"] = 500; }},
        DamageCase{"ManyDisks", [](Json& j) { j["disks"] = Json::array_t(33, j["disks"][0]); }}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ChVersion, IsReadFromWhatTheProgramSays) {
  EXPECT_EQ(*parse_version("cloud-hypervisor v53.0"), (Version{53, 0, 0}));
  EXPECT_EQ(*parse_version("cloud-hypervisor v51.1.0"), (Version{51, 1, 0}));
  EXPECT_EQ(*parse_version("cloud-hypervisor v54.0.0-dev-12-gabc"), (Version{54, 0, 0}));
  for (const char* text : {"", "cloud-hypervisor", "cloud-hypervisor 53.0", "cloud-hypervisor v",
                           "cloud-hypervisor v53", "QEMU emulator version 7.2.22"}) {
    auto version = parse_version(text);
    ASSERT_FALSE(version) << text;
    EXPECT_EQ(version.error().kind, ErrorKind::kUnsupported);
  }
}

TEST(ChHost, CountsHugePagesThatNobodyWasPromised) {
  constexpr std::int64_t kGuest = std::int64_t{512} << 20;  // 256 pages of 2 MiB
  auto meminfo = [](int free, int promised) {
    return fmt::format(
        "MemTotal:        8126136 kB\nHugePages_Total:     300\nHugePages_Free:      {}\n"
        "HugePages_Rsvd:        {}\nHugePages_Surp:        0\nHugepagesize:       2048 kB\n",
        free, promised);
  };
  EXPECT_EQ(fitting_huge_page(meminfo(256, 0), kGuest), 2 << 20);
  EXPECT_EQ(fitting_huge_page(meminfo(300, 44), kGuest), 2 << 20);
  EXPECT_EQ(fitting_huge_page(meminfo(255, 0), kGuest), 0);
  EXPECT_EQ(fitting_huge_page(meminfo(300, 45), kGuest), 0);
  EXPECT_EQ(fitting_huge_page(meminfo(300, 0), kGuest + (1 << 20)), 0);
  EXPECT_EQ(fitting_huge_page("", kGuest), 0);
  EXPECT_EQ(fitting_huge_page("HugePages_Free: 999\nHugePages_Rsvd: 0\n", kGuest), 0);
}

}  // namespace
}  // namespace cocoon::vmm::cloud_hypervisor
