// SPDX-License-Identifier: Apache-2.0
#include "network/data_path.h"

#include "integration/network/netns_fixture.h"
#include "network/netlink.h"
#include "sys/spawn.h"

namespace cocoon::network::test {
namespace {

constexpr uid_t kUid = 1879048200;

// A veth pair as a CNI plugin would leave it: one end on the host, eth0 with an address inside.
class DataPath : public PrivateHost {
 protected:
  void SetUp() override {
    PrivateHost::SetUp();
    if (IsSkipped()) return;
    ASSERT_TRUE(make_netns(owner_));
    sh("", fmt::format("ip link add host0 mtu 9000 type veth peer name eth0 netns cocoon-{}", kVm));
    sh("", "ip link set host0 up");
    sh(kVm, "ip link set eth0 mtu 9000");
    sh(kVm, "ip addr add 10.9.0.2/24 dev eth0");
    sh(kVm, "ip link set eth0 up");
  }
  void TearDown() override {
    // A pair goes with its namespace, but in the kernel's own time.
    sys::SpawnSpec spec;
    spec.program = "ip";
    spec.args = {"link", "del", "host0"};
    ignore(sys::run_program(std::move(spec), Milliseconds(20'000)), "a test may have deleted it");
    PrivateHost::TearDown();
  }
  Result<Wired> connect(int pairs = 1, const std::string& mac = "", bool open = true) {
    Result<Wired> wired = fail(ErrorKind::kInternal, "not run");
    auto ran = in_netns(netns_path(kVm), [&]() -> Result<void> {
      wired = connect_wire({"eth0", "tap0", pairs, kUid, mac}, open);
      return {};
    });
    if (!ran) return pass(ran.error());
    return wired;
  }
  bool connected() {
    bool is = false;
    auto ran = in_netns(netns_path(kVm), [&]() -> Result<void> {
      is = COCOON_TRY(is_connected("eth0", "tap0"));
      return {};
    });
    EXPECT_TRUE(ran) << ran.error().to_string();
    return is;
  }
  std::string filters(const std::string& device) {
    return sh(kVm, fmt::format("tc filter show dev {} ingress", device));
  }
};

TEST_F(DataPath, ConnectsDeviceAndTap) {
  auto wired = connect();
  ASSERT_TRUE(wired) << wired.error().to_string();
  EXPECT_EQ(wired->mtu, 9000);
  std::string device = sh(kVm, "ip -d addr show eth0");
  EXPECT_NE(device.find(wired->mac), std::string::npos) << device;
  EXPECT_EQ(device.find("inet "), std::string::npos) << device;
  EXPECT_EQ(device.find("inet6"), std::string::npos) << device;
  std::string tap = sh(kVm, "ip -d addr show tap0");
  for (const char* fact : {"mtu 9000", "qlen 10000", "UP", "vnet_hdr on", "persist on",
                           "user 1879048200", "group 1879048200"}) {
    EXPECT_NE(tap.find(fact), std::string::npos) << fact << " in " << tap;
  }
  EXPECT_EQ(tap.find("multi_queue"), std::string::npos) << tap;
  EXPECT_EQ(tap.find("inet6"), std::string::npos) << tap;
  EXPECT_NE(filters("eth0").find("mirred (Egress Redirect to device tap0"), std::string::npos)
      << filters("eth0");
  EXPECT_NE(filters("tap0").find("mirred (Egress Redirect to device eth0"), std::string::npos)
      << filters("tap0");
  EXPECT_TRUE(connected());
}

TEST_F(DataPath, ManyQueuesAndAnotherMac) {
  auto wired = connect(3, "0a:58:0a:58:00:0c");
  ASSERT_TRUE(wired) << wired.error().to_string();
  EXPECT_EQ(wired->mac, "0a:58:0a:58:00:0c");
  EXPECT_NE(sh(kVm, "ip link show eth0").find("0a:58:0a:58:00:0c"), std::string::npos);
  std::string tap = sh(kVm, "ip -d link show tap0");
  EXPECT_NE(tap.find("multi_queue"), std::string::npos) << tap;
}

TEST_F(DataPath, ConnectingAgainReplacesTheTap) {
  ASSERT_TRUE(connect(2));
  ASSERT_TRUE(connect(1));
  EXPECT_EQ(sh(kVm, "ip -d link show tap0").find("multi_queue"), std::string::npos);
  EXPECT_TRUE(connected());
  sh(kVm, "ip link del tap0");
  EXPECT_FALSE(connected());
  ASSERT_TRUE(connect(1));
  EXPECT_TRUE(connected());
}

TEST_F(DataPath, TheGate) {
  ASSERT_TRUE(connect(1, "", false));
  EXPECT_FALSE(connected());
  EXPECT_EQ(filters("eth0").find("mirred"), std::string::npos);
  auto open = [](const char* device, const char* tap) {
    return in_netns(netns_path(kVm), [&] { return open_gate(device, tap); });
  };
  auto close = [] { return in_netns(netns_path(kVm), [] { return close_gate("eth0", "tap0"); }); };
  ASSERT_TRUE(open("eth0", "tap0"));
  EXPECT_TRUE(connected());
  EXPECT_TRUE(open("eth0", "tap0"));  // idempotent
  auto closed = close();
  ASSERT_TRUE(closed) << closed.error().to_string();
  EXPECT_FALSE(connected());
  EXPECT_TRUE(close());
  ASSERT_TRUE(open("eth0", "tap0"));
  EXPECT_TRUE(connected());
  EXPECT_FALSE(open("eth9", "tap0"));
}

TEST_F(DataPath, ADeadEndLeadsNowhere) {
  auto make = [](int pairs) {
    return in_netns(netns_path(kVm), [&] { return make_dead_end("old0", pairs, kUid); });
  };
  auto made = make(2);
  ASSERT_TRUE(made) << made.error().to_string();
  made = make(1);  // in place of the other
  ASSERT_TRUE(made) << made.error().to_string();
  std::string tap = sh(kVm, "ip -d addr show old0");
  for (const char* fact : {"UP", "vnet_hdr on", "persist on", "user 1879048200"}) {
    EXPECT_NE(tap.find(fact), std::string::npos) << fact << " in " << tap;
  }
  EXPECT_EQ(tap.find("multi_queue"), std::string::npos) << tap;
  EXPECT_EQ(tap.find("inet6"), std::string::npos) << tap;
  EXPECT_EQ(filters("old0"), "");
}

TEST_F(DataPath, AMissingDeviceIsNamed) {
  sh(kVm, "ip link del eth0");
  auto wired = connect();
  ASSERT_FALSE(wired);
  EXPECT_NE(wired.error().cause.find("eth0"), std::string::npos);
}

}  // namespace
}  // namespace cocoon::network::test
