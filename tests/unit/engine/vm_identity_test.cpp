// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_identity.h"

#include <gtest/gtest.h>

namespace cocoon::engine {
namespace {

model::Nic nic(const std::string& mac, const std::string& ip) {
  model::Nic out;
  out.mac = mac;
  out.mtu = 1450;
  if (!ip.empty()) out.network = model::NicAddress{ip, "10.0.0.1", 16};
  out.dns = {"10.0.0.53", "1.1.1.1"};
  return out;
}

TEST(Identity, FindsNicsByTheMacsThatTheGuestKnows) {
  model::Vm before;
  before.nics = {nic("02:00:00:00:00:01", "10.0.0.2"), nic("02:00:00:00:00:02", "")};
  model::Vm vm;
  vm.config.name = "clone";
  vm.nics = {nic("02:00:00:00:00:11", "10.0.0.3"), nic("02:00:00:00:00:12", "")};
  vm.nics[0].routes = {{"10.9.0.0/16", "10.0.0.9"}};
  auto identity = identity_of(vm, before, {"9.9.9.9"});
  EXPECT_EQ(identity.hostname, "clone");
  EXPECT_EQ(identity.dns, (std::vector<std::string>{"10.0.0.53", "1.1.1.1"})) << "each once";
  ASSERT_EQ(identity.nics.size(), 2U);
  const auto& first = identity.nics[0];
  EXPECT_EQ(first.find_mac, "02:00:00:00:00:01");
  EXPECT_EQ(first.mac, "02:00:00:00:00:11");
  EXPECT_EQ(first.mtu, 1450);
  EXPECT_TRUE(first.set_addresses);
  EXPECT_EQ(first.addresses, std::vector<std::string>{"10.0.0.3/16"});
  ASSERT_EQ(first.routes.size(), 2U);
  EXPECT_EQ(first.routes[0].to, "default");
  EXPECT_EQ(first.routes[0].via, "10.0.0.1");
  EXPECT_EQ(first.routes[1].to, "10.9.0.0/16");
  EXPECT_TRUE(identity.nics[1].renew_dhcp) << "it has another MAC, so another lease";
  EXPECT_TRUE(identity.nics[1].set_addresses) << "the source's is given up";
  EXPECT_TRUE(identity.nics[1].addresses.empty());
  EXPECT_FALSE(first.renew_dhcp);
  auto restored = identity_of(before, before, {});
  EXPECT_FALSE(restored.nics[1].renew_dhcp) << "the same machine keeps its lease";
  EXPECT_FALSE(restored.nics[1].set_addresses);
}

TEST(Identity, WithoutANetworkThereAreNoServers) {
  model::Vm vm;
  vm.config.name = "clone";
  EXPECT_TRUE(identity_of(vm, vm, {"9.9.9.9"}).dns.empty());
  vm.nics = {nic("02:00:00:00:00:11", "")};
  vm.nics[0].dns.clear();
  EXPECT_EQ(identity_of(vm, {}, {"9.9.9.9"}).dns, std::vector<std::string>{"9.9.9.9"});
  EXPECT_TRUE(identity_of(vm, {}, {}).nics[0].find_mac.empty()) << "by its place";
}

// Nobody can say what a guest calls the NICs that it was given, and their MACs are right already.
TEST(Identity, HintsOfNewNicsGoByTheirMacs) {
  model::Vm vm;
  vm.config.name = "clone";
  vm.nics = {nic("02:00:00:00:00:11", "10.0.0.3"), nic("02:00:00:00:00:12", "")};
  std::string hints = identity_hints(vm, true);
  EXPECT_EQ(hints.find("ip link set"), std::string::npos) << hints;
  for (const char* line : {"  hostnamectl set-hostname clone\n", "MACAddress=02:00:00:00:00:11",
                           "Address=10.0.0.3/16", "MACAddress=02:00:00:00:00:12", "DHCP=ipv4"}) {
    EXPECT_NE(hints.find(line), std::string::npos) << line;
  }
  EXPECT_NE(swap_note(vm).find(hints), std::string::npos);
}

TEST(Identity, AGuestIsMuteOnlyIfASaveSaidSo) {
  model::Snapshot snapshot;
  EXPECT_FALSE(is_mute(snapshot)) << "nobody asked";
  snapshot.agent = true;
  EXPECT_FALSE(is_mute(snapshot));
  snapshot.agent = false;
  EXPECT_TRUE(is_mute(snapshot));
  snapshot.vm.boot.boot_kit = true;
  EXPECT_FALSE(is_mute(snapshot)) << "the boot kit has an agent, whatever a sidecar says";
}

TEST(Identity, HintsNameEveryInterface) {
  model::Vm vm;
  vm.config.name = "clone";
  vm.nics = {nic("02:00:00:00:00:11", "10.0.0.3")};
  std::string hints = identity_hints(vm, false);
  for (const char* line :
       {"  echo 3 > /proc/sys/vm/drop_caches\n", "  hostnamectl set-hostname clone\n",
        "  ip link set dev eth0 address 02:00:00:00:00:11\n", "Address=10.0.0.3/16",
        "10-020000000011.network"}) {
    EXPECT_NE(hints.find(line), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace cocoon::engine
