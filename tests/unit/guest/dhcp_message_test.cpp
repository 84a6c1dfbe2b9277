// SPDX-License-Identifier: Apache-2.0
#include "guest/dhcp_message.h"

#include <arpa/inet.h>

#include <cstring>

#include <gtest/gtest.h>

#include "guest/network.h"

namespace cocoon::guest {
namespace {

constexpr std::array<std::uint8_t, 6> kMac{0x0a, 0x58, 0x0a, 0x58, 0, 0x0c};
constexpr std::uint32_t kTransaction = 0x12345678;

/// A reply with these options (without the end).
std::string reply(const std::string& options) {
  std::string packet(236, '\0');
  packet[0] = 2;
  std::memcpy(packet.data() + 4, &kTransaction, 4);
  const std::uint32_t address = ::inet_addr("10.77.0.51");
  std::memcpy(packet.data() + 16, &address, 4);
  std::memcpy(packet.data() + 28, kMac.data(), kMac.size());
  return packet + "\x63\x82\x53\x63" + options;
}

std::string option(char code, const std::string& value) {
  return std::string(1, code) + static_cast<char>(value.size()) + value;
}

TEST(DhcpMessage, Discover) {
  DhcpQuery query;
  query.transaction = kTransaction;
  query.mac = kMac;
  query.hostname = "web";
  const std::string packet = render_dhcp(query);
  ASSERT_GE(packet.size(), 300U);
  EXPECT_EQ(packet[0], 1);
  EXPECT_EQ(static_cast<unsigned char>(packet[10]), 0x80);  // answer by broadcast
  EXPECT_EQ(packet.substr(236, 4), "\x63\x82\x53\x63");
  EXPECT_EQ(packet.substr(240, 3), std::string("\x35\x01\x01", 3));
  EXPECT_NE(packet.find(std::string("\x0c\x03web", 5)), std::string::npos);
  EXPECT_NE(packet.find(std::string("\x3d\x07\x01\x0a\x58\x0a\x58\x00\x0c", 9)), std::string::npos);
}

TEST(DhcpMessage, ReadsAReply) {
  const auto parsed =
      parse_dhcp(reply(option(53, "\x05") + std::string(3, '\0') + option(1, "\xff\xff\xff\x80") +
                       option(3, std::string("\x0a\x4d\x00\x01", 4)) +
                       option(51, std::string("\0\0\x0e\x10", 4)) + option(26, "\x23\x28") +
                       option(6, std::string("\x0a\x4d\x00\x35\x08\x08\x08\x08", 8)) +
                       option(54, std::string("\x0a\x4d\x00\x01", 4)) + "\xff"),
                 kTransaction, kMac);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->type, DhcpType::kAck);
  EXPECT_EQ(parsed->address, ::inet_addr("10.77.0.51"));
  EXPECT_EQ(parsed->netmask, ::inet_addr("255.255.255.128"));
  EXPECT_EQ(parsed->gateway, ::inet_addr("10.77.0.1"));
  EXPECT_EQ(parsed->server, ::inet_addr("10.77.0.1"));
  EXPECT_EQ(parsed->lease_seconds, 3600U);
  EXPECT_EQ(parsed->mtu, 9000U);
  EXPECT_EQ(parsed->dns,
            (std::vector<std::uint32_t>{::inet_addr("10.77.0.53"), ::inet_addr("8.8.8.8")}));
}

TEST(DhcpMessage, AnothersReplyIsNone) {
  const std::string good = reply(option(53, "\x02"));
  EXPECT_TRUE(parse_dhcp(good, kTransaction, kMac));
  EXPECT_FALSE(parse_dhcp(good, kTransaction + 1, kMac));
  EXPECT_FALSE(parse_dhcp(good, kTransaction, {1, 2, 3, 4, 5, 6}));
  std::string query = good;
  query[0] = 1;
  EXPECT_FALSE(parse_dhcp(query, kTransaction, kMac));
}

TEST(DhcpMessage, NoPrefixOfAPacketGoesOutOfBounds) {
  const std::string whole = reply(option(53, "\x05") + option(6, "\x01\x02\x03\x04\x05") +
                                  option(1, "\xff") + std::string("\x33\xff", 2));
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::string part = whole.substr(0, size);
    const auto parsed = parse_dhcp(part, kTransaction, kMac);
    EXPECT_EQ(parsed.has_value(), size >= 240) << size;
  }
}

TEST(NetmaskBits, OfAPrefix) {
  EXPECT_EQ(netmask_bits(0), 0U);
  EXPECT_EQ(netmask_bits(16), ::inet_addr("255.255.0.0"));
  EXPECT_EQ(netmask_bits(32), 0xffffffffU);
}

}  // namespace
}  // namespace cocoon::guest
