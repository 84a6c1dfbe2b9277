// SPDX-License-Identifier: Apache-2.0
// Loading what real Cloud Hypervisors saved: the files that are made for the guest that goes on, as
// golden files, and what is told to the VMM.
#include <gtest/gtest.h>

#include "unit/golden.h"
#include "unit/vmm/api_definition.h"
#include "unit/vmm/ch_saved.h"
#include "vmm/cloud_hypervisor/saved_state.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using nlohmann::json;

constexpr Version kV51{51, 1, 0};
constexpr Version kV52{52, 0, 0};
constexpr Version kV53{53, 0, 0};
constexpr Host kPlain{kV53, false, 0};

Result<LoadPlan> load(const test::Saved& saved, const model::Vm& vm, RestoreMode mode,
                      const Host& host = kPlain) {
  MemoryPlan memory = COCOON_TRY(plan_memory(vm, saved_files(saved.vm), mode, host.version));
  return render_load(vm, saved.vm, saved.texts, memory, host);
}

const std::string& text_of(const LoadPlan& plan, const std::string& name) {
  for (const LoadText& text : plan.texts) {
    if (text.name == name) return text.text;
  }
  static const std::string kNone;
  ADD_FAILURE() << "no " << name;
  return kNone;
}

// Every node's state out of its text, so that a difference can be shown.
void open_states(json& node) {
  if (!node.is_object()) return;
  if (node.contains("snapshot_data") && node["snapshot_data"].is_object()) {
    json& state = node["snapshot_data"]["state"];
    state = json::parse(state.get<std::string>());
  }
  for (auto& [name, part] : node["snapshots"].items()) open_states(part);
}

// What the made state.json has otherwise than the saved one.
std::string state_changes(const test::Saved& saved, const LoadPlan& plan) {
  json before = json::parse(saved.texts.state), after = json::parse(text_of(plan, "state.json"));
  open_states(before);
  open_states(after);
  return json::diff(before, after).dump(2) + "\n";
}

void expect_files(const std::string& name, const test::Saved& saved, const Result<LoadPlan>& plan) {
  ASSERT_TRUE(plan) << plan.error().to_string();
  cocoon::test::expect_golden(
      name + ".config.json",
      nlohmann::ordered_json::parse(text_of(*plan, "config.json")).dump(2) + "\n");
  cocoon::test::expect_golden(name + ".state.patch.json", state_changes(saved, *plan));
}

// A snapshot of a VM whose memory was in a file of its own, as Cloud Hypervisor leaves it.
test::Saved with_memory_file(test::Saved saved) {
  saved.vm.memory_backing = "file";
  json config = json::parse(saved.texts.config), state = json::parse(saved.texts.state);
  json& text = state["snapshots"]["memory-manager"]["snapshot_data"]["state"];
  json memory = json::parse(text.get<std::string>());
  config["memory"]["zones"] = {
      {{"id", "ram"}, {"size", config["memory"]["size"]}, {"file", "memory"}, {"shared", true}}};
  config["memory"]["size"] = 0;
  memory["memory_ranges"]["data"] = json::array();
  std::uint64_t offset = 0;
  for (json& mapping : memory["guest_ram_mappings"]) {
    mapping["zone_id"] = "ram";
    mapping["file_offset"] = offset;
    offset += mapping["size"].get<std::uint64_t>();
  }
  text = memory.dump();
  saved.texts = {config.dump(), state.dump()};
  return saved;
}

TEST(ChSnapshot, MapsTheMemoryOfOneRange) {
  test::Saved saved = test::small();
  auto plan = load(saved, test::clone_of(saved.vm), RestoreMode::kAuto);
  expect_files("ch_load_mmap", saved, plan);
  EXPECT_EQ(plan->mode, RestoreMode::kMmap);
  EXPECT_EQ(plan->links, std::vector<std::string>{"memory-ranges"});
  EXPECT_EQ(plan->kept, std::vector<std::string>{"memory-ranges"})
      << "a guest's reboot maps it again";
  EXPECT_EQ(plan->launch.memory_file_bytes, 0);
  EXPECT_EQ(plan->memory_copy, "");
}

TEST(ChSnapshot, MapsTheMemoryOfABootKitGuest) {
  test::Saved saved = test::boot_kit();
  auto plan = load(saved, test::clone_of(saved.vm), RestoreMode::kAuto, {kV53, true, 0});
  expect_files("ch_load_boot_kit", saved, plan);
}

TEST(ChSnapshot, MapsTheMemoryOfTwoRangesEachAtItsPlace) {
  test::Saved saved = test::large();
  auto plan = load(saved, test::clone_of(saved.vm), RestoreMode::kMmap);
  expect_files("ch_load_mmap_two_ranges", saved, plan);
}

TEST(ChSnapshot, ReadsTheMemoryIn) {
  test::Saved saved = test::large();
  auto plan = load(saved, test::clone_of(saved.vm), RestoreMode::kCopy, {kV53, true, 2 << 20});
  expect_files("ch_load_copy", saved, plan);
  EXPECT_EQ(plan->mode, RestoreMode::kCopy);
  EXPECT_EQ(plan->links, std::vector<std::string>{"memory-ranges"});
}

TEST(ChSnapshot, CopiesTheMemoryIntoAFileOfItsOwn) {
  for (bool from_file : {false, true}) {
    test::Saved saved = from_file ? with_memory_file(test::large()) : test::large();
    model::Vm vm = test::clone_of(saved.vm);
    vm.memory_backing = "file";
    auto plan = load(saved, vm, RestoreMode::kAuto);
    expect_files(from_file ? "ch_load_own_file_from_file" : "ch_load_own_file", saved, plan);
    EXPECT_EQ(plan->mode, RestoreMode::kCopy);
    EXPECT_EQ(plan->memory_copy, from_file ? "memory" : "memory-ranges");
    EXPECT_EQ(plan->launch.memory_file_bytes, 3584 * kMiB);
    EXPECT_TRUE(plan->links.empty());
  }
}

TEST(ChSnapshot, MapsAMemoryFileOfAnotherVm) {
  test::Saved saved = with_memory_file(test::large());
  model::Vm vm = test::clone_of(saved.vm);
  vm.memory_backing.clear();
  auto plan = load(saved, vm, RestoreMode::kAuto);
  expect_files("ch_load_mmap_from_file", saved, plan);
  EXPECT_EQ(plan->links, std::vector<std::string>{"memory"});
  EXPECT_EQ(plan->launch.memory_file_bytes, 0);
}

// A mapped clone is saved with the zone in its configuration and its memory written in full.
TEST(ChSnapshot, LoadsTheSnapshotOfAMappedClone) {
  test::Saved saved = test::large();
  auto first = load(saved, test::clone_of(saved.vm), RestoreMode::kMmap);
  ASSERT_TRUE(first);
  test::Saved again{test::clone_of(saved.vm),
                    {text_of(*first, "config.json"), text_of(*first, "state.json")}};
  json state = json::parse(again.texts.state);
  json& text = state["snapshots"]["memory-manager"]["snapshot_data"]["state"];
  json memory = json::parse(text.get<std::string>());
  for (const json& mapping : memory["guest_ram_mappings"]) {
    memory["memory_ranges"]["data"].push_back(
        {{"gpa", mapping["gpa"]}, {"length", mapping["size"]}});
  }
  text = memory.dump();
  again.texts.state = state.dump();
  for (RestoreMode mode : {RestoreMode::kMmap, RestoreMode::kCopy}) {
    auto direct = load(saved, saved.vm, mode);
    auto second = load(again, saved.vm, mode);
    ASSERT_TRUE(direct) << direct.error().to_string();
    ASSERT_TRUE(second) << second.error().to_string();
    EXPECT_EQ(text_of(*second, "config.json"), text_of(*direct, "config.json"));
    EXPECT_EQ(json::parse(text_of(*second, "state.json")),
              json::parse(text_of(*direct, "state.json")));
  }
}

TEST(ChSnapshot, KeepsNumbersOf64BitsAndTheStatesItDoesNotTouch) {
  test::Saved saved = test::large();
  auto plan = load(saved, test::clone_of(saved.vm), RestoreMode::kCopy);
  ASSERT_TRUE(plan);
  json before = json::parse(saved.texts.state), after = json::parse(text_of(*plan, "state.json"));
  EXPECT_EQ(after["snapshots"]["cpu-manager"], before["snapshots"]["cpu-manager"]);
  EXPECT_EQ(after["snapshot_data"], before["snapshot_data"]);
  std::string memory = after["snapshots"]["memory-manager"]["snapshot_data"]["state"];
  EXPECT_NE(memory.find("\"size\":18446744073709551615"), std::string::npos);
}

TEST(ChSnapshot, ReadsWhatVersion51Wrote) {
  test::Saved saved = test::old();
  auto plan = load(saved, test::clone_of(saved.vm), RestoreMode::kAuto, {kV51, false, 0});
  expect_files("ch_load_v51", saved, plan);
  EXPECT_EQ(plan->mode, RestoreMode::kCopy) << "v51 dies of a mapping";
}

TEST(ChSnapshot, HandsOnNothingOfTheSource) {
  test::Saved saved = test::small();
  auto plan = load(saved, test::clone_of(saved.vm), RestoreMode::kAuto);
  ASSERT_TRUE(plan);
  json config = json::parse(text_of(*plan, "config.json"));
  EXPECT_EQ(config["net"][0]["mac"], "0a:58:0a:58:ff:0d");
  EXPECT_FALSE(config["net"][0].contains("host_mac")) << "setting it takes CAP_NET_ADMIN";
  std::string cmdline = config["payload"]["cmdline"];
  EXPECT_NE(cmdline.find("second"), std::string::npos) << cmdline;
  EXPECT_NE(cmdline.find("10.88.0.77"), std::string::npos) << cmdline;
  EXPECT_NE(text_of(*plan, "state.json").find(R"(\"mac\":[10,88,10,88,255,13])"),
            std::string::npos);
}

// As a clone is planned before its network is made.
TEST(ChSnapshot, IsPlannedForNicsWithoutAnAddress) {
  test::Saved saved = test::small();
  model::Vm vm = test::clone_of(saved.vm);
  vm.nics[0].mac.clear();
  vm.nics[0].network.reset();
  EXPECT_TRUE(load(saved, vm, RestoreMode::kAuto));
  vm.nics[0].mac = "nonsense";
  auto wrong = load(saved, vm, RestoreMode::kAuto);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kInvalid);
}

TEST(ChSnapshot, FindsAPluggedDiskByItsId) {
  test::Saved saved = test::small();
  json config = json::parse(saved.texts.config);
  std::swap(config["disks"][0], config["disks"][3]);
  saved.texts.config = config.dump();
  auto plan = load(saved, saved.vm, RestoreMode::kAuto);
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(json::parse(text_of(*plan, "config.json"))["disks"][0]["path"], "layer0.erofs");
}

TEST(ChSnapshot, ServesPageFaultsInSmallPagesAndInsideItsConfinement) {
  test::Saved saved = test::small();
  auto plan = load(saved, saved.vm, RestoreMode::kOnDemand, {kV53, true, 2 << 20});
  ASSERT_TRUE(plan) << plan.error().to_string();
  json config = json::parse(text_of(*plan, "config.json"));
  EXPECT_EQ(config["memory"], (json{{"size", 256 * kMiB}}));
  EXPECT_EQ(config["landlock_rules"].dump(),
            R"([{"access":"rw","path":"."},{"access":"rw","path":"/dev/userfaultfd"}])");
}

TEST(ChSnapshot, ChoosesTheModeByVersionAndMemory) {
  struct Case {
    RestoreMode asked;
    Version version;
    bool saved_in_file, own_file;
    RestoreMode mode;
    const char* refusal;  // empty: none
  };
  const Case cases[] = {
      {RestoreMode::kAuto, kV53, false, false, RestoreMode::kMmap, ""},
      {RestoreMode::kAuto, kV52, false, false, RestoreMode::kMmap, ""},
      {RestoreMode::kAuto, kV51, false, false, RestoreMode::kCopy, ""},
      {RestoreMode::kAuto, kV53, true, false, RestoreMode::kMmap, ""},
      {RestoreMode::kAuto, kV51, true, false, RestoreMode::kMmap, "52.0.0 or newer"},
      {RestoreMode::kAuto, kV51, true, true, RestoreMode::kCopy, ""},
      {RestoreMode::kAuto, kV53, false, true, RestoreMode::kCopy, ""},
      {RestoreMode::kMmap, kV51, false, false, RestoreMode::kMmap, "and 51.1.0 is installed"},
      {RestoreMode::kMmap, kV53, false, true, RestoreMode::kMmap, "always a copy"},
      {RestoreMode::kCopy, kV51, false, false, RestoreMode::kCopy, ""},
      {RestoreMode::kCopy, kV53, true, false, RestoreMode::kCopy, "use mmap"},
      {RestoreMode::kOnDemand, kV52, false, false, RestoreMode::kOnDemand, ""},
      {RestoreMode::kOnDemand, kV51, false, false, RestoreMode::kOnDemand, "ondemand needs"},
      {RestoreMode::kOnDemand, kV53, true, false, RestoreMode::kOnDemand, "use mmap"},
      {RestoreMode::kOnDemand, kV53, false, true, RestoreMode::kOnDemand, "always a copy"},
  };
  for (const Case& row : cases) {
    model::Vm source = vmm::test::sample_vm(), vm = source;
    if (row.saved_in_file) source.memory_backing = "file";
    if (row.own_file) vm.memory_backing = "file";
    auto plan = plan_memory(vm, saved_files(source), row.asked, row.version);
    std::string where = fmt::format("{} {}", restore_mode_name(row.asked), row.version.to_string());
    if (*row.refusal != '\0') {
      ASSERT_FALSE(plan) << where;
      EXPECT_EQ(plan.error().kind, ErrorKind::kUnsupported);
      EXPECT_NE(plan.error().cause.find(row.refusal), std::string::npos) << plan.error().cause;
    } else {
      ASSERT_TRUE(plan) << where << plan.error().to_string();
      EXPECT_EQ(plan->mode, row.mode) << where;
    }
  }
}

TEST(ChSnapshot, SavesNothingThatCouldBeTorn) {
  EXPECT_TRUE(check_can_save(kV53));
  auto old = check_can_save({52, 1, 0});
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(old.error().cause.find("52.1.0"), std::string::npos) << old.error().cause;
}

TEST(ChSnapshot, RefusesAVmWithOtherDevices) {
  test::Saved saved = test::small();
  model::Vm vm = test::clone_of(saved.vm);
  vm.nics.clear();
  Plan plan = *parse_plan(vm.device_plan);
  plan.nics.clear();
  vm.device_plan = plan_to_json(plan);
  auto got = load(saved, vm, RestoreMode::kAuto);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind, ErrorKind::kUnsupported);
}

TEST(ChSnapshot, NeedsTheRightToServePageFaults) {
  EXPECT_TRUE(check_userfaultfd({true, false, false}));
  EXPECT_TRUE(check_userfaultfd({false, true, true}));
  auto closed = check_userfaultfd({false, true, false});
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(closed.error().cause.find("give /dev/userfaultfd to the group of /dev/kvm"),
            std::string::npos);
  auto none = check_userfaultfd({false, false, false});
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().cause.find("here; set the sysctl"), std::string::npos);
}

TEST(ChSnapshot, EveryBodyFitsThePublishedApi) {
  constexpr const char* kFile = "cloud-hypervisor.openapi.yaml";
  auto api = vmm::test::ApiDefinition::load(kFile, "/api/v1");
  if (!api) GTEST_SKIP() << "no API definition at " << vmm::test::ApiDefinition::place(kFile);
  for (RestoreMode mode : {RestoreMode::kCopy, RestoreMode::kOnDemand, RestoreMode::kMmap}) {
    test::Saved saved = test::large();
    auto plan = load(saved, test::clone_of(saved.vm), mode, {kV53, true, 0});
    ASSERT_TRUE(plan) << plan.error().to_string();
    ASSERT_EQ(plan->launch.calls.size(), 2U);
    for (const ApiCall& call : plan->launch.calls) {
      for (const std::string& complaint : api->complaints(call)) ADD_FAILURE() << complaint;
    }
    // The configuration that is loaded has the form that vm.create takes.
    ApiCall create{"PUT", "/api/v1/vm.create",
                   nlohmann::ordered_json::parse(text_of(*plan, "config.json"))};
    for (const std::string& complaint : api->complaints(create)) ADD_FAILURE() << complaint;
  }
  for (const char* path : {"vm.pause", "vm.resume"}) {
    EXPECT_TRUE(api->complaints({"PUT", std::string("/api/v1/") + path, nullptr}).empty());
  }
  EXPECT_TRUE(api->complaints({"GET", "/api/v1/vmm.ping", nullptr}).empty());
  EXPECT_TRUE(
      api->complaints({"PUT", "/api/v1/vm.snapshot", {{"destination_url", "file://save-x"}}})
          .empty());
  EXPECT_FALSE(api->complaints({"PUT", "/api/v1/vm.restore", {{"source", "x"}}}).empty());
}

}  // namespace
}  // namespace cocoon::vmm::cloud_hypervisor
