// SPDX-License-Identifier: Apache-2.0
// What is said to a running QEMU about its disks, and what is made of its answers.
#include <algorithm>

#include <gtest/gtest.h>

#include "unit/vmm/qmp_peer.h"
#include "unit/vmm/sample_vm.h"
#include "vmm/qemu/argv.h"
#include "vmm/qemu/hotplug.h"

namespace cocoon::vmm::qemu {
namespace {

using nlohmann::json;
using test::Peer;

constexpr Milliseconds kPatience{5000};
constexpr Milliseconds kShort{150};

// A QEMU with these devices and block nodes; every command is remembered.
class FakeQemu {
 public:
  std::vector<std::string> devices{"rng0"};
  std::vector<std::string> nodes{"cow"};
  std::vector<std::string> heard;
  std::function<std::string(const json&)> refuse = [](const json&) { return std::string(); };
  bool guest_listens = true;

  void serve(Peer& peer) {
    peer.greet();
    for (std::string line = peer.hear(); !line.empty(); line = peer.hear()) {
      json command = json::parse(line);
      heard.push_back(command["execute"]);
      std::string why = refuse(command);
      json answer{{"id", command["id"]}};
      if (why.empty()) {
        answer["return"] = run(command["execute"], command.value("arguments", json::object()));
      } else {
        answer["error"] = {{"class", "GenericError"}, {"desc", why}};
      }
      peer.say(answer.dump() + "\n");
      if (deleted_.empty()) continue;
      peer.say(json{{"event", "DEVICE_DELETED"}, {"data", {{"path", "/x/virtio-backend"}}}}.dump() +
               "\n");
      peer.say(json{{"event", "DEVICE_DELETED"}, {"data", {{"device", deleted_}}}}.dump() + "\n");
      deleted_.clear();
    }
  }

 private:
  json run(const std::string& name, const json& arguments) {
    json list = json::array();
    if (name == "qom-list") {
      EXPECT_EQ(arguments["path"], "/machine/peripheral");
      for (const auto& device : devices) list.push_back({{"name", device}, {"type", "child<x>"}});
      return list;
    }
    if (name == "query-named-block-nodes") {
      for (const auto& node : nodes) list.push_back({{"node-name", node}});
      return list;
    }
    if (name == "blockdev-add") nodes.push_back(arguments["node-name"]);
    if (name == "device_add") devices.push_back(arguments["id"]);
    if (name == "blockdev-del") std::erase(nodes, arguments["node-name"].get<std::string>());
    if (name == "device_del" && guest_listens) deleted_ = arguments["id"];
    return json::object();
  }

  std::string deleted_;  // the event comes behind the answer; the list is not shorter before it
};

struct Disk {
  model::Vm vm = test_vm();
  DiskPlan place{"data-db.raw", "data-db", 0, 2, 256, 5};
  nlohmann::ordered_json node = render_node(vm, vm.disks.back(), place);
  nlohmann::ordered_json device = render_device(vm, vm.disks.back(), place);

  static model::Vm test_vm() {
    model::Vm vm = vmm::test::sample_vm();
    vm.disks.push_back(vmm::test::data("db"));
    return vm;
  }
};

// Runs `work` against the fake and returns its result.
Result<void> against(FakeQemu& qemu, const std::function<Result<void>(QmpClient&)>& work) {
  auto conversation = test::talk([&qemu](Peer& peer) { qemu.serve(peer); });
  auto client = QmpClient::open(std::move(conversation.ours), deadline_in(kPatience));
  if (!client) return pass(client.error());
  return work(*client);
}

TEST(QemuHotplug, AddsNodeAndDeviceAsTheArgumentsWould) {
  Disk disk;
  EXPECT_EQ(disk.device.dump(),
            R"({"driver":"virtio-blk-pci","id":"disk-data-db","drive":"data-db","serial":"db",)"
            R"("num-queues":2,"queue-size":256,"bus":"rp5"})");
  EXPECT_EQ(disk.node["file"]["filename"], "data-db.raw");
  FakeQemu qemu;
  auto added = against(qemu, [&](QmpClient& client) {
    return plug_disk(client, disk.node, disk.device, deadline_in(kPatience));
  });
  ASSERT_TRUE(added) << added.error().to_string();
  EXPECT_EQ(qemu.heard, (std::vector<std::string>{"qom-list", "query-named-block-nodes",
                                                  "blockdev-add", "device_add"}));
}

TEST(QemuHotplug, AddsNothingTwice) {
  Disk disk;
  FakeQemu qemu;
  qemu.devices.push_back("disk-data-db");
  EXPECT_TRUE(against(qemu, [&](QmpClient& client) {
    return plug_disk(client, disk.node, disk.device, deadline_in(kPatience));
  }));
  EXPECT_EQ(qemu.heard, std::vector<std::string>{"qom-list"});
}

TEST(QemuHotplug, GoesOnWhereADeadCommandStopped) {
  Disk disk;
  FakeQemu qemu;
  qemu.nodes.push_back("data-db");
  EXPECT_TRUE(against(qemu, [&](QmpClient& client) {
    return plug_disk(client, disk.node, disk.device, deadline_in(kPatience));
  }));
  EXPECT_EQ(qemu.heard.back(), "device_add");
  EXPECT_EQ(std::count(qemu.heard.begin(), qemu.heard.end(), "blockdev-add"), 0);
}

TEST(QemuHotplug, LeavesNoNodeBehindARefusedDevice) {
  Disk disk;
  FakeQemu qemu;
  qemu.refuse = [](const json& command) {
    return command["execute"] == "device_add" ? "Bus 'rp5' not found" : "";
  };
  auto added = against(qemu, [&](QmpClient& client) {
    return plug_disk(client, disk.node, disk.device, deadline_in(kPatience));
  });
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, ErrorKind::kVmm);
  EXPECT_EQ(added.error().cause, "QMP device_add: Bus 'rp5' not found");
  EXPECT_EQ(qemu.nodes, std::vector<std::string>{"cow"});
}

TEST(QemuHotplug, RemovesTheNodeWhenTheGuestHasLetGo) {
  FakeQemu qemu;
  qemu.devices.push_back("disk-data-db");
  qemu.nodes.push_back("data-db");
  auto removed = against(qemu, [&](QmpClient& client) {
    return unplug_disk(client, "disk-data-db", "data-db", deadline_in(kPatience));
  });
  ASSERT_TRUE(removed) << removed.error().to_string();
  EXPECT_EQ(qemu.heard, (std::vector<std::string>{"qom-list", "device_del", "qom-list",
                                                  "query-named-block-nodes", "blockdev-del"}));
  EXPECT_EQ(qemu.nodes, std::vector<std::string>{"cow"});
}

TEST(QemuHotplug, WaitsForARemovalThatWasAskedForBefore) {
  FakeQemu qemu;
  qemu.devices.push_back("disk-data-db");
  qemu.guest_listens = false;
  qemu.refuse = [](const json& command) {
    return command["execute"] == "device_del" ? "Device x is already in the process of unplug" : "";
  };
  auto removed = against(qemu, [&](QmpClient& client) {
    return unplug_disk(client, "disk-data-db", "data-db", deadline_in(kShort));
  });
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().kind, ErrorKind::kTimeout);
}

TEST(QemuHotplug, SaysThatTheGuestHoldsOn) {
  FakeQemu qemu;
  qemu.devices.push_back("disk-data-db");
  qemu.nodes.push_back("data-db");
  qemu.guest_listens = false;
  auto removed = against(qemu, [&](QmpClient& client) {
    return unplug_disk(client, "disk-data-db", "data-db", deadline_in(kShort));
  });
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().kind, ErrorKind::kTimeout);
  EXPECT_NE(removed.error().cause.find("does not let go"), std::string::npos);
  EXPECT_EQ(qemu.nodes.back(), "data-db");
}

TEST(QemuHotplug, WhatIsGoneIsGone) {
  FakeQemu qemu;
  EXPECT_TRUE(against(qemu, [&](QmpClient& client) {
    return unplug_disk(client, "disk-data-db", "data-db", deadline_in(kPatience));
  }));
  EXPECT_EQ(qemu.heard, (std::vector<std::string>{"qom-list", "query-named-block-nodes"}));
}

TEST(QemuHotplug, TakesNoListForAList) {
  auto conversation = test::talk([](Peer& peer) {
    peer.greet();
    peer.hear();
    peer.say("{\"return\":{\"x\":1},\"id\":2}\n");
    peer.hear();
  });
  auto client = QmpClient::open(std::move(conversation.ours), deadline_in(kPatience));
  ASSERT_TRUE(client);
  auto ids = device_ids(*client, deadline_in(kPatience));
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace cocoon::vmm::qemu
