// SPDX-License-Identifier: Apache-2.0
// What real Cloud Hypervisors saved, in the form of the original engine: there and back, and what
// somebody changed on the way.
#include <functional>

#include <gtest/gtest.h>

#include "unit/vmm/ch_saved.h"
#include "vmm/cloud_hypervisor/original.h"
#include "vmm/cloud_hypervisor/payload.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using nlohmann::json;

constexpr Host kHost{{53, 0, 0}, true, 0};
const std::string kRun = "/var/lib/cocoon/run/cloudhypervisor/K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
const std::string kStore = "/var/lib/cocoon/oci/";

OriginalPaths paths() {
  OriginalPaths out;
  out.disks = {kStore + "blobs/" + std::string(64, 'a') + ".erofs",
               kStore + "blobs/" + std::string(64, 'b') + ".erofs", kRun + "/cow.raw",
               kRun + "/data-db.raw"};
  out.kernel = kStore + "boot/" + std::string(64, 'b') + "/vmlinuz";
  out.initrd = kStore + "boot/" + std::string(64, 'b') + "/initrd.img";
  out.run_dir = kRun;
  out.vsock = "/run/vsock";
  return out;
}

// As its documents say: no NICs and no plan yet.
model::Vm described(model::Vm vm) {
  vm.nics.clear();
  vm.device_plan = nullptr;
  vm.config.cpu = 0;
  vm.config.memory = 0;
  return vm;
}

// A state without the device of that ID.
void remove_device(json& root, const std::string& id) {
  json& devices = root["snapshots"]["device-manager"];
  json inner = json::parse(devices["snapshot_data"]["state"].get<std::string>());
  for (const std::string& name : {id, "_virtio-pci-" + id}) {
    devices["snapshots"].erase(name);
    inner["device_tree"].erase(name);
  }
  devices["snapshot_data"]["state"] = inner.dump();
}

// Fixtures as the original's guests are: what it sets up in its own way, and no vsock.
SavedTexts of_the_original(const test::Saved& saved) {
  auto made = to_original(saved.vm, paths(), saved.texts);
  EXPECT_TRUE(made) << made.error().to_string();
  if (!made) return {};
  json config = json::parse(made->config);
  config["disks"][2]["queue_affinity"] = {{{"queue_index", 0}, {"host_cpus", {0}}}};
  config["net"][0]["host_mac"] = "6a:75:1c:bd:94:ce";
  config["net"][0]["tap"] = "btK3QZ7WJ5-0";
  config["net"][0]["ip"] = "192.168.249.1";
  config["net"][0]["mask"] = "255.255.255.0";
  config["net"][0]["mac"] = "02:00:00:00:00:01";
  config["console"]["file"] = "/dev/pts/4";
  config["balloon"]["size"] = 64 * kMiB;
  config["rng"]["src"] = "/dev/hwrng";
  config["pmem"] = nullptr;
  json state = json::parse(made->state);
  remove_device(state, config["vsock"]["id"]);
  config.erase("vsock");
  return {config.dump(), state.dump()};
}

Result<LoadPlan> load(const SavedGuest& guest) {
  MemoryPlan memory =
      COCOON_TRY(plan_memory(guest.vm, saved_files(guest.vm), RestoreMode::kAuto, kHost.version));
  return render_load(test::clone_of(guest.vm), guest.vm, guest.texts, memory, kHost);
}

// What its network gives a NIC.
void give_address(const test::Saved& saved, model::Vm& vm) {
  vm.nics[0].network = saved.vm.nics[0].network;
  vm.nics[0].dns = saved.vm.nics[0].dns;
}

// A state file, with what is text in it as JSON: the order of its keys is of no account.
json opened(const std::string& text) {
  const std::function<void(json&)> open = [&open](json& node) {
    if (node["snapshot_data"].is_object()) {
      json& state = node["snapshot_data"]["state"];
      state = json::parse(state.get<std::string>());
    }
    for (auto& [name, child] : node["snapshots"].items()) open(child);
  };
  json root = json::parse(text);
  open(root);
  return root;
}

TEST(ChOriginal, AGuestOfTheOriginalGoesOnHere) {
  for (const test::Saved& saved : {test::small(), test::large(), test::old()}) {
    SavedTexts texts = of_the_original(saved);
    auto guest = from_original(described(saved.vm), paths(), texts);
    ASSERT_TRUE(guest) << guest.error().to_string();
    EXPECT_EQ(guest->vm.config.cpu, 1);
    EXPECT_EQ(guest->vm.config.memory, saved.vm.config.memory);
    ASSERT_EQ(guest->vm.nics.size(), 1U);
    EXPECT_EQ(guest->vm.nics[0].tap, "tap0");
    EXPECT_EQ(guest->vm.nics[0].mac, "02:00:00:00:00:01");
    auto plan = parse_plan(guest->vm.device_plan);
    ASSERT_TRUE(plan) << plan.error().to_string();
    EXPECT_FALSE(plan->vsock);
    ASSERT_EQ(plan->disks.size(), 4U);
    EXPECT_EQ(plan->disks[2].id, "_disk2");
    EXPECT_EQ(plan->disks[2].path, "cow.raw");
    // nothing of its host is left in what is kept
    for (const std::string* text : {&guest->texts.config, &guest->texts.state}) {
      for (const char* theirs :
           {"/var/lib", "/dev/pts", "/dev/hwrng", "btK3", "6a:75", "192.168"}) {
        EXPECT_EQ(text->find(theirs), std::string::npos) << theirs;
      }
    }
    give_address(saved, guest->vm);
    auto load_plan = load(*guest);
    ASSERT_TRUE(load_plan) << load_plan.error().to_string();
    json config = json::parse(load_plan->texts[0].text);
    EXPECT_FALSE(config.contains("vsock"));
    EXPECT_EQ(config["net"][0]["id"], "_net4");
    EXPECT_EQ(config["net"][0].count("host_mac"), 0U);
    EXPECT_EQ(config["balloon"]["size"], 64 * kMiB);
    EXPECT_EQ(config["rng"]["src"], "/dev/urandom");
    // and the next start of the clone has the same devices
    auto launch = render_launch(test::clone_of(guest->vm), *plan, kHost);
    ASSERT_TRUE(launch) << launch.error().to_string();
    EXPECT_FALSE(launch->calls[0].body.contains("vsock"));
    EXPECT_EQ(launch->calls[0].body["disks"][3]["id"], "_disk3");
  }
}

TEST(ChOriginal, OursGoesThereAndComesBack) {
  for (const test::Saved& saved : {test::small(), test::large(), test::old()}) {
    auto texts = to_original(saved.vm, paths(), saved.texts);
    ASSERT_TRUE(texts) << texts.error().to_string();
    json config = json::parse(texts->config);
    EXPECT_EQ(config["disks"][3]["path"], kRun + "/data-db.raw");
    EXPECT_EQ(config["payload"]["kernel"], paths().kernel);
    EXPECT_EQ(config["console"], (json{{"mode", "Pty"}}));
    EXPECT_EQ(config["serial"], (json{{"mode", "Off"}}));
    EXPECT_EQ(config["vsock"]["socket"], "/run/vsock");
    for (const char* key : {"platform", "landlock_enable", "landlock_rules"}) {
      EXPECT_FALSE(config.contains(key)) << key;
    }
    auto back = from_original(described(saved.vm), paths(), *texts);
    ASSERT_TRUE(back) << back.error().to_string();
    EXPECT_EQ(back->vm.device_plan, saved.vm.device_plan);
    give_address(saved, back->vm);
    auto plan = load(*back);
    ASSERT_TRUE(plan) << plan.error().to_string();
    // what the VMM reads is what it would have read without the way there and back
    auto direct = load({saved.vm, saved.texts});
    ASSERT_TRUE(direct) << direct.error().to_string();
    EXPECT_EQ(json::parse(plan->texts[0].text), json::parse(direct->texts[0].text));
    EXPECT_TRUE(opened(plan->texts[1].text) == opened(direct->texts[1].text));
  }
}

TEST(ChOriginal, MoreMemoryThatTheGuestHasFromItsNextBootOn) {
  test::Saved saved = test::small();
  SavedTexts texts = of_the_original(saved);
  json config = json::parse(texts.config);
  config["memory"]["size"] = 512 * kMiB;
  texts.config = config.dump();
  model::Vm vm = described(saved.vm);
  vm.config.memory = 512 * kMiB;
  auto guest = from_original(vm, paths(), texts);
  ASSERT_TRUE(guest) << guest.error().to_string();
  EXPECT_EQ(guest->vm.config.memory, 512 * kMiB);
  EXPECT_EQ(parse_plan(guest->vm.device_plan)->memory, 256 * kMiB);
}

void expect_refused(const model::Vm& vm, const OriginalPaths& places, const SavedTexts& texts,
                    const std::string& says) {
  auto guest = from_original(vm, places, texts);
  ASSERT_FALSE(guest) << says;
  EXPECT_NE(guest.error().to_string().find(says), std::string::npos)
      << says << " | " << guest.error().to_string();
}

struct Mutation {
  const char* says;
  std::function<void(json&)> change;
};

TEST(ChOriginalHostile, Config) {
  const Mutation mutations[] = {
      {"config.json: \"pmem\"",
       [](json& c) {
         c["pmem"] = json::array({{{"file", "/etc/shadow"}}});
       }},
      {"config.json: \"fs\"",
       [](json& c) {
         c["fs"] = json::array({{{"socket", "/run/x"}}});
       }},
      {"config.json: \"devices\"",
       [](json& c) {
         c["devices"] = json::array({{{"path", "/sys/x"}}});
       }},
      {"config.json: \"user_devices\"", [](json& c) { c["user_devices"] = json::array({1}); }},
      {"config.json: \"vdpa\"", [](json& c) { c["vdpa"] = json::array({1}); }},
      {"config.json: \"tpm\"",
       [](json& c) {
         c["tpm"] = {{"socket", "/x"}};
       }},
      {"payload: kernel is", [](json& c) { c["payload"]["kernel"] = "/boot/vmlinuz"; }},
      {"payload: initramfs is", [](json& c) { c["payload"].erase("initramfs"); }},
      {"payload: firmware", [](json& c) { c["payload"]["firmware"] = "/x"; }},
      {"payload is no object", [](json& c) { c["payload"] = 1; }},
      {"cpus: boot_vcpus", [](json& c) { c["cpus"]["boot_vcpus"] = "many"; }},
      {"config.json: cpus is no object", [](json& c) { c.erase("cpus"); }},
      {"state.json: cpu-manager: no \"1\"", [](json& c) { c["cpus"]["boot_vcpus"] = 2; }},
      {"memory: size is 1", [](json& c) { c["memory"]["size"] = 1; }},
      {"memory: shared is true", [](json& c) { c["memory"]["shared"] = true; }},
      {"memory.zones[0]",
       [](json& c) {
         c["memory"]["zones"] =
             json::array({{{"id", "ram"}, {"size", 256 * kMiB}, {"file", "/dev/sda"}}});
       }},
      {"has 3 disks, but the sidecar has 4", [](json& c) { c["disks"].erase(3); }},
      {"has 5 disks", [](json& c) { c["disks"].push_back(c["disks"][0]); }},
      {"disks[2]: path is \"/dev/sda\"", [](json& c) { c["disks"][2]["path"] = "/dev/sda"; }},
      {"disks[0]: path is", [](json& c) { std::swap(c["disks"][0], c["disks"][1]); }},
      {"disks[2]: readonly", [](json& c) { c["disks"][2]["readonly"] = true; }},
      {"disks[0]: readonly", [](json& c) { c["disks"][0]["readonly"] = false; }},
      {"disks[1]: \"vhost_socket\"", [](json& c) { c["disks"][1]["vhost_socket"] = "/x"; }},
      {"disks[3]: queue_affinity", [](json& c) { c["disks"][3]["queue_affinity"] = "/x"; }},
      {"ID \"../x\"", [](json& c) { c["disks"][3]["id"] = "../x"; }},
      {"two disks", [](json& c) { c["disks"][3]["id"] = c["disks"][2]["id"]; }},
      {"with 9 queues", [](json& c) { c["disks"][3]["num_queues"] = 9; }},
      {"net[0]: \"vhost_socket\"", [](json& c) { c["net"][0]["vhost_socket"] = "/x"; }},
      {"net[0]: \"fds\"", [](json& c) { c["net"][0]["fds"] = {4}; }},
      {"net[0]: mac is no hardware", [](json& c) { c["net"][0]["mac"] = "x"; }},
      {"at most 8", [](json& c) { c["net"] = json(9, c["net"][0]); }},
      {"vsock is not expected|config.json: \"vsock\"|vsock",
       [](json& c) {
         c["vsock"] = {{"cid", 3}, {"socket", "/etc/x"}};
       }},
      {"serial: mode is \"File\"",
       [](json& c) {
         c["serial"] = {{"mode", "File"}, {"file", "/etc/x"}};
       }},
      {"console: mode is \"Off\"", [](json& c) { c["console"]["mode"] = "Off"; }},
      {"console: \"other\"", [](json& c) { c["console"]["other"] = 1; }},
      {"debug_console",
       [](json& c) {
         c["debug_console"] = {{"mode", "File"}, {"file", "/etc/x"}};
       }},
      {"platform: \"oem_strings\"",
       [](json& c) {
         c["platform"] = {{"oem_strings", {"x"}}};
       }},
      {"config.json: a number", [](json& c) { c["balloon"]["size"] = 0.5; }},
      {"config.json is no object", [](json& c) { c = json::array(); }},
  };
  const test::Saved saved = test::small();
  const SavedTexts good = of_the_original(saved);
  ASSERT_TRUE(from_original(described(saved.vm), paths(), good));
  for (const Mutation& mutation : mutations) {
    json config = json::parse(good.config);
    mutation.change(config);
    std::string says = mutation.says;
    says = says.substr(says.rfind('|') + 1);
    expect_refused(described(saved.vm), paths(), {config.dump(), good.state}, says);
  }
}

TEST(ChOriginalHostile, State) {
  auto inside = [](const char* id, const std::function<void(json&)>& change) {
    return [id, change](json& root) {
      json& text = root["snapshots"]["device-manager"]["snapshots"][id]["snapshot_data"]["state"];
      json state = json::parse(text.get<std::string>());
      change(state);
      text = state.dump();
    };
  };
  const Mutation mutations[] = {
      {"_disk2: no disk_path", inside("_disk2", [](json& d) { d.erase("disk_path"); })},
      {"_disk3: no snapshot_data",
       [](json& s) { s["snapshots"]["device-manager"]["snapshots"].erase("_disk3"); }},
      {"device-manager: \"_fs9\"",
       [](json& s) {
         json& devices = s["snapshots"]["device-manager"]["snapshots"];
         devices["_fs9"] = devices["_disk0"];
       }},
      {"memory-manager", [](json& s) { s["snapshots"].erase("memory-manager"); }},
      {"state.json is no object", [](json& s) { s = json::array(); }},
  };
  const test::Saved saved = test::small();
  const SavedTexts good = of_the_original(saved);
  for (const Mutation& mutation : mutations) {
    json state = json::parse(good.state);
    mutation.change(state);
    expect_refused(described(saved.vm), paths(), {good.config, state.dump()}, mutation.says);
  }
  for (const char* text : {"", "{", "null", "[]", "\xff"}) {
    expect_refused(described(saved.vm), paths(), {good.config, text}, "state.json");
    expect_refused(described(saved.vm), paths(), {text, good.state}, "config.json");
  }
}

TEST(ChOriginalHostile, ADocumentThatSaysOtherwise) {
  const test::Saved saved = test::small();
  const SavedTexts texts = of_the_original(saved);
  model::Vm vm = described(saved.vm);
  vm.config.cpu = 4;
  expect_refused(vm, paths(), texts, "boot_vcpus is 1, but snapshot.json says 4");
  vm = described(saved.vm);
  vm.config.memory = kMiB;
  expect_refused(vm, paths(), texts, "but snapshot.json says 1048576");
  vm = described(saved.vm);
  vm.config.windows = true;
  expect_refused(vm, paths(), texts, "\"balloon\" is not expected");
  OriginalPaths other = paths();
  other.kernel = "/x/vmlinuz";
  expect_refused(described(saved.vm), other, texts, "payload: kernel is");
  other = paths();
  other.disks[3] = "/x/data-db.raw";
  expect_refused(described(saved.vm), other, texts, "disks[3]: path is");
}

}  // namespace
}  // namespace cocoon::vmm::cloud_hypervisor
