// SPDX-License-Identifier: Apache-2.0
// Snapshots that somebody changed: every one is refused, and the message names the member.
#include <functional>

#include <gtest/gtest.h>

#include "unit/vmm/ch_saved.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using nlohmann::json;

constexpr Host kHost{{53, 0, 0}, true, 0};

Result<LoadPlan> load(const test::Saved& saved) {
  MemoryPlan memory =
      COCOON_TRY(plan_memory(saved.vm, saved_files(saved.vm), RestoreMode::kAuto, kHost.version));
  return render_load(test::clone_of(saved.vm), saved.vm, saved.texts, memory, kHost);
}

struct Mutation {
  const char* says;  // in the message
  std::function<void(json&)> change;
};

void expect_refused(const test::Saved& saved, const std::string& says) {
  auto plan = load(saved);
  ASSERT_FALSE(plan) << says;
  EXPECT_EQ(plan.error().kind, ErrorKind::kCorrupt) << plan.error().to_string();
  EXPECT_NE(plan.error().to_string().find(says), std::string::npos)
      << says << " | " << plan.error().to_string();
}

TEST(ChSavedHostile, Config) {
  const Mutation mutations[] = {
      {"config.json: \"pmem\"",
       [](json& c) {
         c["pmem"] = {{{"file", "/etc/shadow"}}};
       }},
      {"config.json: \"fs\"",
       [](json& c) {
         c["fs"] = {{{"socket", "/run/x"}, {"tag", "x"}}};
       }},
      {"config.json: \"devices\"",
       [](json& c) {
         c["devices"] = {{{"path", "/sys/x"}}};
       }},
      {"config.json: \"user_devices\"",
       [](json& c) {
         c["user_devices"] = {{{"socket", "/x"}}};
       }},
      {"config.json: \"vdpa\"",
       [](json& c) {
         c["vdpa"] = {{{"path", "/dev/vhost-vdpa-0"}}};
       }},
      {"config.json: \"tpm\"",
       [](json& c) {
         c["tpm"] = {{"socket", "/x"}};
       }},
      {"config.json: \"numa\"", [](json& c) { c["numa"] = json::array({json::object()}); }},
      {"config.json: \"preserved_fds\"", [](json& c) { c["preserved_fds"] = {3}; }},
      {"payload: kernel is \"/boot/vmlinuz\"",
       [](json& c) { c["payload"]["kernel"] = "/boot/vmlinuz"; }},
      {"payload: initramfs is", [](json& c) { c["payload"]["initramfs"] = "../initrd"; }},
      {"payload: \"firmware\"", [](json& c) { c["payload"]["firmware"] = "/x"; }},
      {"payload is no object", [](json& c) { c["payload"] = 7; }},
      {"payload: cmdline is no text", [](json& c) { c["payload"]["cmdline"] = {"x"}; }},
      {"cpus: boot_vcpus is 2, not 1", [](json& c) { c["cpus"]["boot_vcpus"] = 2; }},
      {"cpus: max_vcpus", [](json& c) { c["cpus"]["max_vcpus"] = 100000; }},
      {"cpus: max_vcpus", [](json& c) { c["cpus"].erase("max_vcpus"); }},
      {"cpus: \"affinity\"", [](json& c) { c["cpus"]["affinity"] = json::array({1}); }},
      {"cpus.features: \"tdx\"", [](json& c) { c["cpus"]["features"]["tdx"] = true; }},
      {"memory: size is 0", [](json& c) { c["memory"]["size"] = 0; }},
      {"memory: shared is true", [](json& c) { c["memory"]["shared"] = true; }},
      {"memory: hotplug_method", [](json& c) { c["memory"]["hotplug_method"] = "VirtioMem"; }},
      {"memory: \"hotplug_size\"", [](json& c) { c["memory"]["hotplug_size"] = 1 << 30; }},
      {"memory.zones[0]: file is not the memory",
       [](json& c) {
         c["memory"] = {{"size", 0},
                        {"zones", {{{"id", "ram"}, {"size", 256 * kMiB}, {"file", "/dev/sda"}}}}};
       }},
      {"memory.zones[0]: id",
       [](json& c) {
         c["memory"] = {{"size", 0},
                        {"zones", {{{"id", "x"}, {"size", 256 * kMiB}, {"file", "memory"}}}}};
       }},
      {"memory: zones is not the memory that the record says",
       [](json& c) {
         c["memory"] = {
             {"size", 0},
             {"zones",
              {{{"id", "ram"}, {"size", 256 * kMiB}, {"file", "memory"}, {"shared", true}}}}};
       }},
      {"memory: zones has not one zone",
       [](json& c) {
         c["memory"] = {{"size", 0}, {"zones", json::array()}};
       }},
      {"5 disks, not 4", [](json& c) { c["disks"].push_back(c["disks"][0]); }},
      {"disks: no \"_disk3\"", [](json& c) { c["disks"][3] = c["disks"][2]; }},
      {"disks[2]: path is \"/dev/sda\"", [](json& c) { c["disks"][2]["path"] = "/dev/sda"; }},
      {"disks[0]: readonly is false", [](json& c) { c["disks"][0]["readonly"] = false; }},
      {"disks[0]: readonly is missing", [](json& c) { c["disks"][0].erase("readonly"); }},
      {"disks[3]: serial", [](json& c) { c["disks"][3]["serial"] = "other"; }},
      {"disks[2]: image_type is \"Qcow2\"", [](json& c) { c["disks"][2]["image_type"] = "Qcow2"; }},
      {"disks[2]: backing_files", [](json& c) { c["disks"][2]["backing_files"] = true; }},
      {"disks[1]: \"vhost_socket\"", [](json& c) { c["disks"][1]["vhost_socket"] = "/x"; }},
      {"disks[1]: vhost_user", [](json& c) { c["disks"][1]["vhost_user"] = true; }},
      {"disks[1]: num_queues", [](json& c) { c["disks"][1]["num_queues"] = 64; }},
      {"disks[1]: queue_size", [](json& c) { c["disks"][1]["queue_size"] = 3; }},
      {"disks[1]: pci_segment", [](json& c) { c["disks"][1]["pci_segment"] = 1; }},
      {"disks is no list", [](json& c) { c["disks"] = "all"; }},
      {"0 NICs", [](json& c) { c.erase("net"); }},
      {"net[0]: tap is \"eth0\"", [](json& c) { c["net"][0]["tap"] = "eth0"; }},
      {"net[0]: mac", [](json& c) { c["net"][0]["mac"] = "02:00:00:00:00:02"; }},
      {"net[0]: id", [](json& c) { c["net"][0]["id"] = "../x"; }},
      {"net[0]: \"vhost_socket\"", [](json& c) { c["net"][0]["vhost_socket"] = "/x"; }},
      {"net[0]: \"ip\"", [](json& c) { c["net"][0]["ip"] = "10.0.0.1"; }},
      {"net[0]: \"fds\"", [](json& c) { c["net"][0]["fds"] = {4}; }},
      {"rng: src is \"/dev/sda\"", [](json& c) { c["rng"]["src"] = "/dev/sda"; }},
      {"balloon: size", [](json& c) { c["balloon"]["size"] = std::int64_t{1} << 40; }},
      {"balloon is no object", [](json& c) { c.erase("balloon"); }},
      {"vsock: socket is \"/run/x\"", [](json& c) { c["vsock"]["socket"] = "/run/x"; }},
      {"vsock: cid", [](json& c) { c["vsock"]["cid"] = 4; }},
      {"serial: mode is \"File\"",
       [](json& c) {
         c["serial"] = {{"mode", "File"}, {"file", "/etc/x"}};
       }},
      {"console: \"file\"", [](json& c) { c["console"]["file"] = "/etc/x"; }},
      {"debug_console: mode", [](json& c) { c["debug_console"]["mode"] = "File"; }},
      {"platform: \"oem_strings\"",
       [](json& c) {
         c["platform"] = {{"oem_strings", {"x"}}};
       }},
      {"watchdog is false", [](json& c) { c["watchdog"] = false; }},
      {"pvpanic is true", [](json& c) { c["pvpanic"] = true; }},
      {"landlock_rules: \"x\"",
       [](json& c) {
         c["landlock_rules"] = {{{"x", 1}}};
       }},
      {"config.json: a number", [](json& c) { c["balloon"]["size"] = 0.5; }},
      {"config.json is no object", [](json& c) { c = json::array(); }},
  };
  for (const Mutation& mutation : mutations) {
    test::Saved saved = test::small();
    json config = json::parse(saved.texts.config);
    mutation.change(config);
    saved.texts.config = config.dump();
    expect_refused(saved, mutation.says);
  }
}

json& state_of(json& root, std::initializer_list<const char*> path) {
  json* node = &root;
  for (const char* name : path) node = &(*node)["snapshots"][name];
  return (*node)["snapshot_data"]["state"];
}

// A change of what is in the text of a state.
std::function<void(json&)> inside(std::initializer_list<const char*> path,
                                  const std::function<void(json&)>& change) {
  return [names = std::vector<const char*>(path), change](json& root) {
    json* node = &root;
    for (const char* name : names) node = &(*node)["snapshots"][name];
    json& text = (*node)["snapshot_data"]["state"];
    json state = json::parse(text.get<std::string>());
    change(state);
    text = state.dump();
  };
}

TEST(ChSavedHostile, State) {
  constexpr const char* kMemory = "memory-manager";
  constexpr const char* kDevices = "device-manager";
  const Mutation mutations[] = {
      {"state.json: \"other-manager\"",
       [](json& s) { s["snapshots"]["other-manager"] = s["snapshots"]["cpu-manager"]; }},
      {"state.json: no \"cpu-manager\"", [](json& s) { s["snapshots"].erase("cpu-manager"); }},
      {"state.json: \"extra\"", [](json& s) { s["extra"] = 1; }},
      {"state.json: snapshots is no object", [](json& s) { s["snapshots"] = 1; }},
      {"cpu-manager: \"1\"",
       [](json& s) {
         json& cpus = s["snapshots"]["cpu-manager"]["snapshots"];
         cpus["1"] = cpus["0"];
       }},
      {"device-manager: \"_pmem9\"",
       [](json& s) {
         json& devices = s["snapshots"]["device-manager"]["snapshots"];
         devices["_pmem9"] = devices["_disk0"];
       }},
      {"device-manager: no \"_disk3\"",
       [](json& s) { s["snapshots"]["device-manager"]["snapshots"].erase("_disk3"); }},
      {"device-manager: device_tree: \"_vfio0\"",
       inside({kDevices}, [](json& d) { d["device_tree"]["_vfio0"] = json::object(); })},
      {"device-manager: \"more\"", inside({kDevices}, [](json& d) { d["more"] = 1; })},
      {"_disk2: disk_path is not cow.raw",
       inside({kDevices, "_disk2"}, [](json& d) { d["disk_path"] = "/dev/sda"; })},
      {"_net4: no config.mac",
       inside({kDevices, "_net4"}, [](json& d) { d["config"].erase("mac"); })},
      {"_net4: JSON nested too deeply",
       [](json& s) {
         state_of(s, {"device-manager", "_net4"}) = std::string(100, '[') + std::string(100, ']');
       }},
      {"memory-manager: no JSON", [](json& s) { state_of(s, {"memory-manager"}) = "{"; }},
      {"memory-manager: snapshot_data: state is no text",
       [](json& s) { state_of(s, {"memory-manager"}) = json::object(); }},
      {"memory-manager: a number",
       inside({kMemory}, [](json& m) { m["start_of_device_area"] = 1e30; })},
      {"memory-manager: boot_ram", inside({kMemory}, [](json& m) { m["boot_ram"] = 1 << 30; })},
      {"memory-manager: current_ram", inside({kMemory}, [](json& m) { m["current_ram"] = 0; })},
      {"guest_ram_mappings are not",
       inside({kMemory}, [](json& m) { m["guest_ram_mappings"][0]["size"] = 128 * kMiB; })},
      {"guest_ram_mappings are not",
       inside({kMemory},
              [](json& m) { m["guest_ram_mappings"].push_back(m["guest_ram_mappings"][0]); })},
      {"guest_ram_mappings are not",
       inside({kMemory},
              [](json& m) { m["guest_ram_mappings"][0]["gpa"] = 18446744073709551615ULL; })},
      {"guest_ram_mappings[0]: virtio_mem",
       inside({kMemory}, [](json& m) { m["guest_ram_mappings"][0]["virtio_mem"] = true; })},
      {"guest_ram_mappings[0]: zone_id",
       inside({kMemory}, [](json& m) { m["guest_ram_mappings"][0]["zone_id"] = "far"; })},
      {"guest_ram_mappings[0]: \"file\"",
       inside({kMemory}, [](json& m) { m["guest_ram_mappings"][0]["file"] = "/x"; })},
      {"memory_ranges are not",
       inside({kMemory}, [](json& m) { m["memory_ranges"]["data"][0]["length"] = 4096; })},
      {"memory_ranges are not",
       inside({kMemory}, [](json& m) { m["memory_ranges"]["data"] = json::array(); })},
      {"memory_ranges: gpa is",
       inside({kMemory}, [](json& m) { m["memory_ranges"]["data"][0]["gpa"] = -1; })},
      {"hotplug_slots has one in use",
       inside({kMemory}, [](json& m) { m["hotplug_slots"][0]["active"] = true; })},
      {"memory-manager: \"dirty\"", inside({kMemory}, [](json& m) { m["dirty"] = 1; })},
  };
  for (const Mutation& mutation : mutations) {
    test::Saved saved = test::small();
    json state = json::parse(saved.texts.state);
    mutation.change(state);
    saved.texts.state = state.dump();
    expect_refused(saved, mutation.says);
  }
}

TEST(ChSavedHostile, TextsThatAreNoJson) {
  for (const char* text : {"", "{", "null", "[]", "{\"a\":1}{", "\xff"}) {
    test::Saved saved = test::small();
    saved.texts.config = text;
    expect_refused(saved, "config.json");
    saved = test::small();
    saved.texts.state = text;
    expect_refused(saved, "state.json");
  }
  test::Saved saved = test::small();
  saved.texts.state = std::string(1 << 20, '[');
  expect_refused(saved, "state.json: JSON nested too deeply");
}

TEST(ChSavedHostile, ARecordThatIsNotItsPlans) {
  test::Saved saved = test::small();
  saved.vm.disks.pop_back();
  EXPECT_FALSE(load(saved));
  saved = test::small();
  saved.vm.device_plan["vcpus"] = 2;
  EXPECT_FALSE(load(saved));
  saved = test::small();
  saved.vm.device_plan = "plan";
  EXPECT_FALSE(load(saved));
}

}  // namespace
}  // namespace cocoon::vmm::cloud_hypervisor
