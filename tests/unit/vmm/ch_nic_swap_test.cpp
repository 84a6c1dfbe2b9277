// SPDX-License-Identifier: Apache-2.0
// NICs of a guest that goes on, exchanged for others: what is loaded, what is said to the VMM in
// which order, and how the load waits for the guest; with what the real program saved.
#include <gtest/gtest.h>

#include "unit/vmm/api_definition.h"
#include "unit/vmm/ch_saved.h"
#include "unit/vmm/fake_api.h"
#include "vmm/cloud_hypervisor/backend.h"
#include "vmm/cloud_hypervisor/nic_swap.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using cocoon::test::HttpPeer;
using nlohmann::json;
using vmm::test::FakeApi;

constexpr Milliseconds kPatience{10'000};
constexpr Milliseconds kShort{300};
constexpr Host kHost{{53, 0, 0}, false, 0};
constexpr const char* kSavedId = "_net4";
constexpr const char* kSavedMac = "02:00:00:00:00:01";
constexpr const char* kNewMac = "0a:58:0a:58:ff:0d";

CloudHypervisorBackend backend() { return CloudHypervisorBackend(model::Config{}); }

Result<LoadPlan> load(const test::Saved& saved, const model::Vm& vm, bool swap = true) {
  MemoryPlan memory =
      COCOON_TRY(plan_memory(vm, saved_files(saved.vm), RestoreMode::kAuto, kHost.version));
  return render_load(vm, saved.vm, saved.texts, memory, kHost, swap);
}

const std::string& text_of(const LoadPlan& plan, std::size_t index) {
  return plan.texts[index].text;
}

std::vector<std::string> paths(const std::vector<ApiCall>& calls) {
  std::vector<std::string> out;
  for (const ApiCall& call : calls) out.push_back(call.path.substr(call.path.rfind('/') + 1));
  return out;
}

// What Cloud Hypervisor would save of that guest, once it has let go of its former NIC.
test::Saved saved_again(const test::Saved& saved, const LoadPlan& plan, const model::Vm& vm) {
  test::Saved again{vm, {text_of(plan, 0), text_of(plan, 1)}};
  json config = json::parse(again.texts.config), state = json::parse(again.texts.state);
  json fresh = json::parse(plan.launch.calls[1].body.dump());
  std::string id = fresh["id"];
  config["net"] = json::array({fresh});
  json& devices = state["snapshots"]["device-manager"];
  std::string lead = "_virtio-pci-";
  auto rename = [&](json& object, const std::string& prefix) {
    object[prefix + id] = object[prefix + kSavedId];
    object.erase(prefix + kSavedId);
  };
  json own = json::parse(devices["snapshot_data"]["state"].get<std::string>());
  for (const std::string& prefix : {std::string(), lead}) {
    rename(devices["snapshots"], prefix);
    rename(own["device_tree"], prefix);
  }
  devices["snapshot_data"]["state"] = own.dump();
  json& text = state["snapshots"]["memory-manager"]["snapshot_data"]["state"];
  json memory = json::parse(text.get<std::string>());
  for (const json& mapping : memory["guest_ram_mappings"]) {
    memory["memory_ranges"]["data"].push_back(
        {{"gpa", mapping["gpa"]}, {"length", mapping["size"]}});
  }
  text = memory.dump();
  again.texts = {config.dump(), state.dump()};
  EXPECT_EQ(saved.vm.nics.size(), 1U);
  return again;
}

TEST(ChNicSwap, LoadsTheFormerNicOnAStandInAndPlugsTheNewOneIn) {
  test::Saved saved = test::small();
  auto plan = load(saved, test::clone_of(saved.vm));
  ASSERT_TRUE(plan) << plan.error().to_string();
  json nic = json::parse(text_of(*plan, 0))["net"][0];
  EXPECT_EQ(nic["id"], kSavedId) << "the device state is found by it";
  EXPECT_EQ(nic["tap"], "old0");
  EXPECT_EQ(nic["mac"], kSavedMac);
  EXPECT_NE(text_of(*plan, 1).find(R"(\"mac\":[2,0,0,0,0,1])"), std::string::npos)
      << "the device stays what it was";
  EXPECT_EQ(plan->stand_ins, (std::vector<StandIn>{{"old0", 1}}));
  EXPECT_EQ(plan->leaving, std::vector<std::string>{kSavedId});
  const auto& calls = plan->launch.calls;
  ASSERT_EQ(paths(calls), (std::vector<std::string>{"vm.restore", "vm.add-net", "vm.remove-device",
                                                    "vm.resume"}));
  EXPECT_EQ(json(calls[1].body), (json{{"id", "net0"},
                                       {"tap", "tap0"},
                                       {"mac", kNewMac},
                                       {"num_queues", 2},
                                       {"queue_size", 512},
                                       {"offload_tso", true},
                                       {"offload_ufo", true},
                                       {"offload_csum", true}}));
  EXPECT_EQ(json(calls[2].body), (json{{"id", kSavedId}}));
  std::string cmdline = json::parse(text_of(*plan, 0))["payload"]["cmdline"];
  EXPECT_NE(cmdline.find("10.88.0.77"), std::string::npos)
      << "a guest that reboots is the new one: " << cmdline;
}

TEST(ChNicSwap, AddsAllBeforeItRemovesAny) {
  model::Vm saved_vm = test::recorded_vm(256 * kMiB);
  saved_vm.nics = {vmm::test::nic(0), vmm::test::nic(1)};
  saved_vm.nics[1].num_queues = 4;
  saved_vm.config.cpu = 2;
  Plan plan = *make_plan(saved_vm);
  nlohmann::ordered_json config;
  for (const char* id : {"net1", "_net7"}) {
    config["net"].push_back(
        {{"id", id}, {"tap", "tap" + std::to_string(config["net"].size())}, {"mac", kNewMac}});
  }
  NicSwap swap = swap_nics(config, saved_vm, plan);
  EXPECT_EQ(paths(swap.calls), (std::vector<std::string>{"vm.add-net", "vm.add-net",
                                                         "vm.remove-device", "vm.remove-device"}));
  EXPECT_EQ(swap.calls[0].body["id"], "net0");
  EXPECT_EQ(swap.calls[0].body["tap"], "tap0");
  EXPECT_EQ(swap.calls[1].body["id"], "net2") << "net1 is one that goes";
  EXPECT_EQ(swap.calls[1].body["tap"], "tap1");
  EXPECT_EQ(swap.leaving, (std::vector<std::string>{"net1", "_net7"}));
  EXPECT_EQ(swap.stand_ins, (std::vector<StandIn>{{"old0", 1}, {"old1", 2}}));
  EXPECT_EQ(config["net"][1]["tap"], "old1");
  EXPECT_EQ(config["net"][1]["mac"], saved_vm.nics[1].mac);
}

TEST(ChNicSwap, LeavesNicsAloneWithoutNeedOrRoom) {
  test::Saved saved = test::small();
  model::Vm clone = test::clone_of(saved.vm);
  EXPECT_TRUE(can_swap_nics(clone, saved.vm));
  EXPECT_FALSE(can_swap_nics(saved.vm, saved.vm)) << "the same VM, restored";
  model::Vm full = saved.vm;
  for (int index = 0; full.disks.size() + 2 < static_cast<std::size_t>(free_slots(full)); ++index) {
    full.disks.push_back(vmm::test::data(fmt::format("d{}", index)));
  }
  EXPECT_TRUE(can_swap_nics(test::clone_of(full), full)) << "the last two places";
  full.disks.push_back(vmm::test::data("last"));
  EXPECT_FALSE(can_swap_nics(test::clone_of(full), full));
  model::Vm none = saved.vm;
  none.nics.clear();
  EXPECT_FALSE(can_swap_nics(none, none));
  // As for a guest that is told.
  for (bool swap : {false, true}) {
    const model::Vm& vm = swap ? saved.vm : clone;
    auto plan = load(saved, vm, swap);
    ASSERT_TRUE(plan) << plan.error().to_string();
    EXPECT_TRUE(plan->stand_ins.empty());
    EXPECT_TRUE(plan->leaving.empty());
    EXPECT_EQ(paths(plan->launch.calls), (std::vector<std::string>{"vm.restore", "vm.resume"}));
    EXPECT_EQ(json::parse(text_of(*plan, 0))["net"][0]["tap"], "tap0");
    EXPECT_EQ(json::parse(text_of(*plan, 0))["net"][0]["mac"], vm.nics[0].mac);
  }
}

// A clone that was given other NICs is saved with those alone, and is cloned like any other.
TEST(ChNicSwap, LoadsTheSnapshotOfAGuestWithOtherNics) {
  test::Saved saved = test::small();
  model::Vm clone = test::clone_of(saved.vm);
  auto plan = load(saved, clone);
  ASSERT_TRUE(plan) << plan.error().to_string();
  test::Saved again = saved_again(saved, *plan, clone);
  auto restored = load(again, clone);
  ASSERT_TRUE(restored) << restored.error().to_string();
  EXPECT_TRUE(restored->stand_ins.empty());
  model::Vm grandchild = clone;
  grandchild.nics[0].mac = "0a:58:0a:58:ff:0e";
  auto second = load(again, grandchild);
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_EQ(second->leaving, std::vector<std::string>{"net0"});
  EXPECT_EQ(second->launch.calls[1].body["id"], "net1");
  EXPECT_EQ(json::parse(text_of(*second, 0))["net"][0]["mac"], kNewMac);
}

TEST(ChNicSwap, EveryBodyFitsThePublishedApi) {
  constexpr const char* kFile = "cloud-hypervisor.openapi.yaml";
  auto api = vmm::test::ApiDefinition::load(kFile, "/api/v1");
  if (!api) GTEST_SKIP() << "no API definition at " << vmm::test::ApiDefinition::place(kFile);
  test::Saved saved = test::small();
  auto plan = load(saved, test::clone_of(saved.vm));
  ASSERT_TRUE(plan) << plan.error().to_string();
  for (const ApiCall& call : plan->launch.calls) {
    for (const std::string& complaint : api->complaints(call)) ADD_FAILURE() << complaint;
  }
}

void expect(HttpPeer& peer, const std::string& line, int status, const std::string& body = "") {
  EXPECT_EQ(peer.hear().line, line + " HTTP/1.1");
  peer.answer(status, body);
}

// vm.info with the former NIC still in the tree of devices, or without it.
std::string info(bool in_tree) {
  json answer{{"config", json::object()}, {"device_tree", {{"net0", json::object()}}}};
  if (in_tree) answer["device_tree"][kSavedId] = json::object();
  return answer.dump();
}

void expect_calls(HttpPeer& peer) {
  expect(peer, "PUT /api/v1/vm.restore", 204);
  expect(peer, "PUT /api/v1/vm.add-net", 200, R"({"id":"net0","bdf":"0000:00:0c.0"})");
  expect(peer, "PUT /api/v1/vm.remove-device", 204);
  expect(peer, "PUT /api/v1/vm.resume", 204);
}

TEST(ChNicSwap, WaitsUntilTheGuestHasLetGo) {
  test::Saved saved = test::small();
  auto plan = load(saved, test::clone_of(saved.vm));
  ASSERT_TRUE(plan);
  int looked = 0;
  {  // the API's thread ends with it
    FakeApi api("sock/api", {expect_calls, [&looked](HttpPeer& peer) {
                               for (; looked < 3; ++looked) {
                                 expect(peer, "GET /api/v1/vm.info", 200, info(looked < 2));
                               }
                               EXPECT_TRUE(peer.hear().line.empty());
                             }});
    auto loaded = backend().finish_load(*plan, api.vmm(), deadline_in(kPatience));
    EXPECT_TRUE(loaded) << loaded.error().to_string();
  }
  EXPECT_EQ(looked, 3);
}

TEST(ChNicSwap, FailsWithAGuestThatHoldsOn) {
  test::Saved saved = test::small();
  auto plan = load(saved, test::clone_of(saved.vm));
  ASSERT_TRUE(plan);
  FakeApi api("sock/api", {expect_calls, [](HttpPeer& peer) {
                             while (!peer.hear().line.empty()) peer.answer(200, info(true));
                           }});
  auto loaded = backend().finish_load(*plan, api.vmm(), deadline_in(kShort));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().kind, ErrorKind::kTimeout);
  EXPECT_NE(loaded.error().to_string().find("exchange the guest's NICs"), std::string::npos);
}

// The guest never ran: neither the removal nor the resume is said.
TEST(ChNicSwap, StopsAtARefusal) {
  test::Saved saved = test::small();
  auto plan = load(saved, test::clone_of(saved.vm));
  ASSERT_TRUE(plan);
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                expect(peer, "PUT /api/v1/vm.restore", 204);
                expect(peer, "PUT /api/v1/vm.add-net", 500,
                       R"(["Error from API","The network device could not be added to the VM"])");
                EXPECT_TRUE(peer.hear().line.empty());
              }});
  auto loaded = backend().finish_load(*plan, api.vmm(), deadline_in(kPatience));
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().to_string().find("could not be added"), std::string::npos);
}

}  // namespace
}  // namespace cocoon::vmm::cloud_hypervisor
