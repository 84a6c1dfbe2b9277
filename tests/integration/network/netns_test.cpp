// SPDX-License-Identifier: Apache-2.0
#include "network/netns.h"

#include <unistd.h>

#include <fstream>

#include "integration/network/netns_fixture.h"
#include "network/bridge.h"
#include "network/netlink.h"

namespace cocoon::network::test {
namespace {

std::string own_netns() {
  return std::filesystem::read_symlink("/proc/thread-self/ns/net").native();
}

TEST_F(PrivateHost, MakesAndRemovesANamespace) {
  std::string before = own_netns();
  auto made = make_netns(owner_);
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(own_netns(), before);
  EXPECT_TRUE(is_netns(netns_path(kVm)));
  EXPECT_EQ(claimed_netns(owner_.install_id).value(), std::vector<std::string>{kVm});
  EXPECT_TRUE(make_netns(owner_));  // idempotent
  std::string inside;
  auto ran = in_netns(netns_path(kVm), [&]() -> Result<void> {
    inside = own_netns();
    return {};
  });
  ASSERT_TRUE(ran);
  EXPECT_NE(inside, before);
  EXPECT_EQ(own_netns(), before);
  EXPECT_TRUE(remove_netns(owner_));
  EXPECT_FALSE(sys::exists(netns_path(kVm)));
  EXPECT_TRUE(claimed_netns(owner_.install_id)->empty());
  EXPECT_TRUE(remove_netns(owner_));
}

TEST_F(PrivateHost, AFileWithoutANamespaceIsNone) {
  std::filesystem::create_directories("/run/netns");
  std::ofstream(netns_path(kVm)) << "";
  EXPECT_FALSE(is_netns(netns_path(kVm)));
  ASSERT_TRUE(make_netns(owner_));
  EXPECT_TRUE(is_netns(netns_path(kVm)));
  // Unmounted by somebody else: the file is left, and goes.
  sh("", fmt::format("umount {}", netns_path(kVm).native()));
  EXPECT_FALSE(is_netns(netns_path(kVm)));
  EXPECT_TRUE(remove_netns(owner_));
  EXPECT_FALSE(sys::exists(netns_path(kVm)));
}

TEST_F(PrivateHost, AnotherEnginesNamespaceIsNeverTouched) {
  ASSERT_TRUE(make_netns(owner_));
  Owner other{"fedcba9876543210", kVm};
  auto made = make_netns(other);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::kConflict);
  EXPECT_TRUE(remove_netns(other));
  EXPECT_TRUE(is_netns(netns_path(kVm)));
  EXPECT_TRUE(claimed_netns(other.install_id)->empty());
}

TEST_F(PrivateHost, ANamespaceWithoutAClaimIsNeverTouched) {
  sh("", fmt::format("ip netns add cocoon-{}", kVm));
  EXPECT_TRUE(claimed_netns(owner_.install_id)->empty());
  EXPECT_TRUE(remove_netns(owner_));
  EXPECT_TRUE(is_netns(netns_path(kVm)));
  sh("", fmt::format("ip netns del cocoon-{}", kVm));
}

TEST_F(PrivateHost, BridgePort) {
  sh("", "ip link add br7 mtu 9000 type bridge");
  ASSERT_TRUE(make_netns(owner_));
  std::string mac = "0a:58:0a:58:00:0c";
  auto added = add_port(owner_, "br7", 0, mac, netns_path(kVm));
  ASSERT_TRUE(added) << added.error().to_string();
  std::string port = port_name(kVm, 0);
  std::string host = sh("", fmt::format("ip -d link show {}", port));
  EXPECT_NE(host.find("master br7"), std::string::npos) << host;
  EXPECT_NE(host.find("mtu 9000"), std::string::npos) << host;
  EXPECT_NE(host.find("addrgenmode none"), std::string::npos) << host;
  std::string guest = sh(kVm, "ip link show eth0");
  EXPECT_NE(guest.find(mac), std::string::npos) << guest;
  EXPECT_NE(guest.find("mtu 9000"), std::string::npos) << guest;
  EXPECT_EQ(port_owners(owner_.install_id).value(), std::vector<std::string>{kVm});
  EXPECT_TRUE(add_port(owner_, "br7", 0, mac, netns_path(kVm)));  // replaced
  EXPECT_TRUE(remove_port({"fedcba9876543210", kVm}, 0));         // not its own
  EXPECT_EQ(port_owners(owner_.install_id)->size(), 1U);
  EXPECT_TRUE(remove_port(owner_, 0));
  EXPECT_TRUE(port_owners(owner_.install_id)->empty());
  EXPECT_EQ(check_bridge("none7").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(check_bridge("lo").error().kind, ErrorKind::kInvalid);
  sh("", "ip link del br7");
}

}  // namespace
}  // namespace cocoon::network::test
