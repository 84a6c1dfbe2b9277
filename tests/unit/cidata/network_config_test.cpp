// SPDX-License-Identifier: Apache-2.0
#include "cidata/network_config.h"

#include <gtest/gtest.h>

namespace cocoon::cidata {
namespace {

const SeedNic kStatic{"02:00:00:00:00:01", "10.88.0.5", 16, "10.88.0.1"};
const SeedNic kDhcp{"02:00:00:00:00:02", "", 0, ""};
const SeedNic kSecond{"02:00:00:00:00:03", "fd00::5", 64, "fd00::1"};
const std::vector<std::string> kDns{"8.8.8.8", "2606:4700:4700::1111"};

TEST(NetworkConfig, HasTheShapeOfTheSpec) {
  auto text = render_network_config({kStatic, kDhcp, kSecond}, kDns);
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(**text, R"(version: 2
ethernets:
  id0:
    match:
      macaddress: "02:00:00:00:00:01"
    addresses:
      - "10.88.0.5/16"
    routes:
      - to: "0.0.0.0/0"
        via: "10.88.0.1"
    nameservers:
      addresses:
        - "8.8.8.8"
        - "2606:4700:4700::1111"
  id1:
    match:
      macaddress: "02:00:00:00:00:02"
    dhcp4: true
    dhcp-identifier: mac
  id2:
    match:
      macaddress: "02:00:00:00:00:03"
    addresses:
      - "fd00::5/64"
    routes:
      - to: "::/0"
        via: "fd00::1"
        metric: 300
    nameservers:
      addresses:
        - "8.8.8.8"
        - "2606:4700:4700::1111"
)");
}

TEST(NetworkConfig, LeavesOutNicsWithoutMacAndEmptyLists) {
  EXPECT_EQ(*render_network_config({}, kDns), std::nullopt);
  EXPECT_EQ(*render_network_config({SeedNic{}}, kDns), std::nullopt);
  auto text = render_network_config({SeedNic{}, {"02:00:00:00:00:0A", "10.0.0.2", 24, ""}}, {});
  ASSERT_TRUE(text);
  EXPECT_EQ(**text,
            "version: 2\nethernets:\n  id0:\n    match:\n      macaddress: \"02:00:00:00:00:0a\"\n"
            "    addresses:\n      - \"10.0.0.2/24\"\n");
}

TEST(NetworkUnits, HaveTheShapeOfTheSpec) {
  auto text = render_network_units({kStatic, kDhcp, kSecond}, {"8.8.8.8"});
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(*text, R"(  - path: /etc/systemd/network/15-cocoon-id0.network
    owner: root:root
    permissions: '0644'
    content: |
      [Match]
      MACAddress=02:00:00:00:00:01

      [Link]
      RequiredForOnline=yes

      [Network]
      Address=10.88.0.5/16
      Gateway=10.88.0.1
      DNS=8.8.8.8
  - path: /etc/systemd/network/15-cocoon-id1.network
    owner: root:root
    permissions: '0644'
    content: |
      [Match]
      MACAddress=02:00:00:00:00:02

      [Link]
      RequiredForOnline=no

      [Network]
      DHCP=ipv4

      [DHCPv4]
      ClientIdentifier=mac
  - path: /etc/systemd/network/15-cocoon-id2.network
    owner: root:root
    permissions: '0644'
    content: |
      [Match]
      MACAddress=02:00:00:00:00:03

      [Link]
      RequiredForOnline=no

      [Network]
      Address=fd00::5/64
      DNS=8.8.8.8

      [Route]
      Gateway=fd00::1
      Metric=300
)");
  EXPECT_EQ(*render_network_units({}, kDns), "");
}

TEST(NetworkConfig, RefusesWhatIsNoAddress) {
  const std::string mac = kStatic.mac;
  const std::vector<SeedNic> bad{
      {"02:00:00:00:00", "", 0, ""},
      {"02-00-00-00-00-01", "", 0, ""},
      {"02:00:00:00:00:01\"", "", 0, ""},
      {"02:00:00:00:00:0g", "", 0, ""},
      {mac, "10.0.0", 24, ""},
      {mac, "10.0.0.5\nDHCP=yes", 24, ""},
      {mac, std::string("10.0.0.5\0x", 10), 24, ""},
      {mac, "10.0.0.5/24", 24, ""},
      {mac, "fe80::1%eth0", 64, ""},
      {mac, "10.0.0.5", 0, ""},
      {mac, "10.0.0.5", 33, ""},
      {mac, "fd00::5", 129, ""},
      {mac, "10.0.0.5", 24, "gw"},
      {mac, "10.0.0.5", 24, "fd00::1"},
  };
  for (const SeedNic& nic : bad) {
    auto text = render_network_config({nic}, {});
    ASSERT_FALSE(text) << **text;
    EXPECT_EQ(text.error().kind, ErrorKind::kInvalid);
    EXPECT_FALSE(render_network_units({nic}, {}));
  }
  EXPECT_FALSE(render_network_config({kStatic}, {"8.8.8.8", "dns.example"}));
}

}  // namespace
}  // namespace cocoon::cidata
