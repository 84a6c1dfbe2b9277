// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include <gtest/gtest.h>

#include "unit/vmm/sample_vm.h"
#include "vmm/qemu/plan.h"
#include "vmm/qemu/version.h"

namespace cocoon::vmm::qemu {
namespace {

constexpr Version kVersion{7, 2, 22};

TEST(QemuPlan, FixesMachineSlotsAndQueues) {
  model::Vm vm = test::sample_vm();
  vm.config.cpu = 3;
  auto plan = make_plan(vm, kVersion);
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->machine_type(), "pc-q35-7.2");
  EXPECT_EQ(plan->cpu(Accel::kKvm), "host");
  EXPECT_EQ(plan->cpu(Accel::kTcg), "max");
  ASSERT_EQ(plan->disks.size(), 4U);
  EXPECT_EQ(plan->disks[0], (DiskPlan{"layer0.erofs", "layer0", kFirstFreeSlot, 1, 256}));
  EXPECT_EQ(plan->disks[2], (DiskPlan{"cow.raw", "cow", kFirstFreeSlot + 2, 3, 256}));
}

TEST(QemuPlan, SurvivesItsJson) {
  model::Vm vm = test::sample_vm();
  vm.disks.push_back(test::data("db"));
  auto plan = make_plan(vm, {10, 0, 3});
  ASSERT_TRUE(plan) << plan.error().to_string();
  // Through text, as a database row would take it.
  auto json = nlohmann::json::parse(plan_to_json(*plan).dump());
  auto again = parse_plan(json);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, *plan);
}

TEST(QemuPlan, TakesExactlyAsManyDisksAsThereAreSlots) {
  model::Vm vm = test::sample_vm();
  vm.disks.clear();
  for (int index = 0; index < kFreeSlots; ++index) vm.disks.push_back(test::layer(index));
  auto full = make_plan(vm, kVersion);
  ASSERT_TRUE(full) << full.error().to_string();
  EXPECT_EQ(full->disks.back().slot, kLastFreeSlot);
  vm.disks.push_back(test::cow());
  auto over = make_plan(vm, kVersion);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(over.error().cause, "27 disks, but a QEMU guest has places for 26");
}

TEST(QemuPlan, NicsHaveTheLastSlotsInAscendingOrder) {
  model::Vm vm = test::sample_vm();
  EXPECT_EQ(plan_to_json(*make_plan(vm, kVersion))["format"], 1);
  vm.nics = {test::nic(0), test::nic(1)};
  vm.nics[1].num_queues = 8;
  auto plan = make_plan(vm, kVersion);
  ASSERT_TRUE(plan) << plan.error().to_string();
  ASSERT_EQ(plan->nics.size(), 2U);
  EXPECT_EQ(plan->nics[0], (NicPlan{kFirstNicSlot, 1, 512}));
  EXPECT_EQ(plan->nics[1], (NicPlan{kFirstNicSlot + 1, 4, 512}));
  auto json = plan_to_json(*plan);
  EXPECT_EQ(json["format"], 2);
  auto again = parse_plan(json);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, *plan);
  json["nics"][1]["slot"] = kFirstNicSlot;
  EXPECT_EQ(parse_plan(json).error().kind, ErrorKind::kCorrupt);
}

TEST(QemuPlan, ChangingNicsChangesNothingElse) {
  model::Vm vm = test::sample_vm();
  auto plan = make_plan(vm, kVersion);
  ASSERT_TRUE(plan);
  vm.config.cpu = 7;  // has no say any more
  vm.nics = {test::nic(0), test::nic(1)};
  auto more = replan_nics(*plan, vm);
  ASSERT_TRUE(more);
  EXPECT_EQ(more->nics.size(), 2U);
  EXPECT_EQ(more->vcpus, plan->vcpus);
  vm.nics.clear();
  EXPECT_EQ(*replan_nics(*more, vm), *plan);
}

TEST(QemuPlan, DisksAndNicsShareTheSlots) {
  model::Vm vm = test::sample_vm();
  vm.disks.clear();
  constexpr int kRoom = kFirstNicSlot - kFirstFreeSlot;
  for (int index = 0; index < kRoom; ++index) vm.disks.push_back(test::layer(index));
  vm.nics = {test::nic(0)};
  EXPECT_TRUE(make_plan(vm, kVersion));
  vm.disks.push_back(test::cow());
  auto over = make_plan(vm, kVersion);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().kind, ErrorKind::kUnsupported);
  vm.nics.clear();
  EXPECT_TRUE(make_plan(vm, kVersion));
}

TEST(QemuPlan, GivesOddNamesANodeOfTheirOwn) {
  model::Vm vm = test::sample_vm();
  vm.disks[0].path = "1.weird,name";
  vm.disks[1].path = std::string(60, 'x') + ".erofs";
  auto plan = make_plan(vm, kVersion);
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->disks[0].node, "disk0");
  EXPECT_EQ(plan->disks[1].node, "disk1");
}

TEST(QemuPlan, PutsDataDisksBehindRootPortsWhileSomeAreLeftForOthers) {
  model::Vm vm = test::sample_vm();
  for (int index = 0; index < kColdRootPorts; ++index) {
    vm.disks.push_back(test::data(fmt::format("d{}", index)));
  }
  auto plan = make_plan(vm, kVersion);
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->disks[4], (DiskPlan{"data-d0.raw", "data-d0", 0, 2, 256, 0}));
  EXPECT_EQ(plan->disks[7].port, kColdRootPorts - 1);
  EXPECT_EQ(*parse_plan(plan_to_json(*plan)), *plan);
  // One more, and none is: the guest's order stays that of the record.
  vm.disks.push_back(test::data("more"));
  plan = make_plan(vm, kVersion);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->disks[4], (DiskPlan{"data-d0.raw", "data-d0", kFirstFreeSlot + 4, 2, 256, -1}));
  EXPECT_EQ(plan->disks[8].slot, kFirstFreeSlot + 8);
}

TEST(QemuPlan, ChangesOnlyWhatChanged) {
  model::Vm vm = test::sample_vm();
  vm.disks.push_back(test::data("a"));
  vm.disks.push_back(test::data("b"));
  auto plan = make_plan(vm, kVersion);
  ASSERT_TRUE(plan);
  EXPECT_EQ(*replan_disks(*plan, vm), *plan);
  auto before = *plan;
  std::erase_if(vm.disks, [](const model::Disk& disk) { return disk.serial == "a"; });
  vm.disks.push_back(test::data("c_d"));
  vm.state = model::VmState::kRunning;
  auto after = replan_disks(before, vm);
  ASSERT_TRUE(after) << after.error().to_string();
  ASSERT_EQ(after->disks.size(), before.disks.size());
  EXPECT_EQ(after->disks[4], before.disks[5]);
  // The place of the one that went, and a name that QEMU takes.
  EXPECT_EQ(after->disks[5], (DiskPlan{"data-c_d.raw", "disk5", 0, 2, 256, 0}));
  after->disks.resize(5);
  before.disks.erase(before.disks.begin() + 4);
  EXPECT_EQ(*after, before);
}

TEST(QemuPlan, GivesARunningGuestEveryRootPortAndNoSlot) {
  model::Vm vm = test::sample_vm();
  auto plan = make_plan(vm, kVersion);
  ASSERT_TRUE(plan);
  vm.state = model::VmState::kRunning;
  for (int index = 0; index < kMaxRootPorts; ++index) {
    vm.disks.push_back(test::data(fmt::format("d{}", index)));
    plan = replan_disks(*plan, vm);
    ASSERT_TRUE(plan) << plan.error().to_string();
    EXPECT_EQ(plan->disks.back().port, index);
  }
  vm.disks.push_back(test::data("over"));
  auto over = replan_disks(*plan, vm);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(over.error().cause,
            "all 8 root ports of the running QEMU guest are taken; stop the VM first");
  vm.state = model::VmState::kStopped;
  over = replan_disks(*plan, vm);
  ASSERT_TRUE(over) << over.error().to_string();
  EXPECT_EQ(over->disks.back().slot, kFirstFreeSlot + 4);
}

TEST(QemuPlan, FindsDisksInAnotherOrder) {
  model::Vm vm = test::sample_vm();
  auto plan = make_plan(vm, kVersion);
  ASSERT_TRUE(plan);
  std::swap(vm.disks[0], vm.disks[1]);
  auto wrong = replan_disks(*plan, vm);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kCorrupt);
}

struct LimitCase {
  const char* name;
  std::function<void(model::Vm&)> change;
  ErrorKind want;
};

class QemuPlanLimits : public testing::TestWithParam<LimitCase> {};

TEST_P(QemuPlanLimits, Refuses) {
  model::Vm vm = test::sample_vm();
  GetParam().change(vm);
  auto plan = make_plan(vm, kVersion);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, GetParam().want) << plan.error().to_string();
}

INSTANTIATE_TEST_SUITE_P(
    Cases, QemuPlanLimits,
    testing::Values(
        LimitCase{"NoCpu", [](model::Vm& vm) { vm.config.cpu = 0; }, ErrorKind::kUnsupported},
        LimitCase{"ManyCpus", [](model::Vm& vm) { vm.config.cpu = 256; }, ErrorKind::kUnsupported},
        LimitCase{"OddMemory", [](model::Vm& vm) { vm.config.memory += 1; }, ErrorKind::kInvalid},
        LimitCase{"NoMemory", [](model::Vm& vm) { vm.config.memory = 0; }, ErrorKind::kInvalid},
        LimitCase{"OddQueue", [](model::Vm& vm) { vm.config.disk_queue_size = 100; },
                  ErrorKind::kInvalid},
        LimitCase{"HugeQueue", [](model::Vm& vm) { vm.config.disk_queue_size = 2048; },
                  ErrorKind::kInvalid},
        LimitCase{"TwoWithOneName", [](model::Vm& vm) { vm.disks[1] = vm.disks[0]; },
                  ErrorKind::kInvalid}),
    [](const auto& test) { return std::string(test.param.name); });

struct DamageCase {
  const char* name;
  std::function<void(nlohmann::json&)> change;
};

class QemuPlanDamage : public testing::TestWithParam<DamageCase> {};

TEST_P(QemuPlanDamage, IsFound) {
  auto plan = make_plan(test::sample_vm(), kVersion);
  ASSERT_TRUE(plan);
  nlohmann::json json = plan_to_json(*plan);
  GetParam().change(json);
  auto parsed = parse_plan(json);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt) << parsed.error().to_string();
}

using Json = nlohmann::json;

INSTANTIATE_TEST_SUITE_P(
    Cases, QemuPlanDamage,
    testing::Values(
        DamageCase{"Null", [](Json& j) { j = nullptr; }},
        DamageCase{"OtherBackend", [](Json& j) { j["backend"] = "firecracker"; }},
        DamageCase{"OtherFormat", [](Json& j) { j["format"] = 3; }},
        DamageCase{"NoVersion", [](Json& j) { j.erase("machine_major"); }},
        DamageCase{"CpuWithOptions", [](Json& j) { j["cpu_tcg"] = "max,pmu=on"; }},
        DamageCase{"TextForMemory", [](Json& j) { j["memory"] = "512M"; }},
        DamageCase{"NegativeMemory", [](Json& j) { j["memory"] = -1048576; }},
        DamageCase{"ManyPorts", [](Json& j) { j["root_ports"] = 9; }},
        DamageCase{"DisksNoList", [](Json& j) { j["disks"] = 1; }},
        DamageCase{"DiskOutside", [](Json& j) { j["disks"][0]["path"] = "../x"; }},
        DamageCase{"NodeWithComma", [](Json& j) { j["disks"][0]["node"] = "a,id=b"; }},
        DamageCase{"SlotOfTheRootPorts", [](Json& j) { j["disks"][0]["slot"] = kRootPortSlot; }},
        DamageCase{"OneSlotTwice", [](Json& j) { j["disks"][0]["slot"] = j["disks"][1]["slot"]; }},
        DamageCase{"SlotAndPort", [](Json& j) { j["disks"][0]["port"] = 0; }},
        DamageCase{"PortThatIsNotThere",
                   [](Json& j) {
                     j["disks"][0]["slot"] = 0;
                     j["disks"][0]["port"] = 8;
                   }},
        DamageCase{"OnePortTwice",
                   [](Json& j) {
                     for (int i : {0, 1}) {
                       j["disks"][i]["slot"] = 0;
                       j["disks"][i]["port"] = 3;
                     }
                   }},
        DamageCase{"NoQueues", [](Json& j) { j["disks"][0]["queues"] = 0; }},
        DamageCase{"ManyDisks", [](Json& j) { j["disks"] = Json::array_t(27, j["disks"][0]); }}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(QemuVersion, IsReadFromWhatTheProgramSays) {
  auto debian = parse_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)");
  ASSERT_TRUE(debian);
  EXPECT_EQ(*debian, (Version{7, 2, 22}));
  EXPECT_EQ(debian->to_string(), "7.2.22");
  EXPECT_EQ(*parse_version("QEMU emulator version 10.0.3"), (Version{10, 0, 3}));
  EXPECT_LT(*debian, (Version{10, 0, 3}));
  for (const char* text : {"", "bash 5", "QEMU emulator version ", "QEMU emulator version 7.2",
                           "QEMU emulator version 7.2.99999", "QEMU emulator version 7..2"}) {
    auto version = parse_version(text);
    ASSERT_FALSE(version) << text;
    EXPECT_EQ(version.error().kind, ErrorKind::kUnsupported);
  }
}

}  // namespace
}  // namespace cocoon::vmm::qemu
