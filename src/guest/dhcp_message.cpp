// SPDX-License-Identifier: Apache-2.0
#include "guest/dhcp_message.h"

#include <arpa/inet.h>

#include <cstring>

namespace cocoon::guest {
namespace {

constexpr std::size_t kFixedSize = 236;
constexpr std::size_t kMinPacket = 300;  // BOOTP relays drop shorter ones
constexpr std::string_view kCookie("\x63\x82\x53\x63", 4);
constexpr std::size_t kMaxServers = 8;
constexpr std::uint32_t kNoMask = 0xffffff;  // what a server that names none means: 255.255.255.0

enum Option : std::uint8_t {
  kPad = 0,
  kNetmask = 1,
  kRouter = 3,
  kDns = 6,
  kHostname = 12,
  kMtu = 26,
  kRequestedAddress = 50,
  kLeaseTime = 51,
  kMessageType = 53,
  kServer = 54,
  kParameters = 55,
  kClientId = 61,
  kEnd = 255,
};

void put_option(std::string& out, Option option, std::string_view value) {
  out += static_cast<char>(option);
  out += static_cast<char>(value.size());
  out += value;
}

void put_address(std::string& out, Option option, std::uint32_t address) {
  if (address == 0) return;
  put_option(out, option, {reinterpret_cast<const char*>(&address), sizeof address});
}

std::uint32_t word_at(std::string_view bytes, std::size_t at) {
  std::uint32_t word = 0;
  if (at + sizeof word <= bytes.size()) std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

void read_option(std::uint8_t option, std::string_view value, DhcpReply& reply) {
  switch (option) {
    case kMessageType:
      if (value.size() == 1) reply.type = static_cast<DhcpType>(value[0]);
      break;
    case kNetmask:
      reply.netmask = word_at(value, 0);
      break;
    case kRouter:
      reply.gateway = word_at(value, 0);
      break;
    case kServer:
      reply.server = word_at(value, 0);
      break;
    case kLeaseTime:
      reply.lease_seconds = ntohl(word_at(value, 0));
      break;
    case kMtu:
      if (value.size() == 2)
        reply.mtu = static_cast<std::uint8_t>(value[0]) << 8 | static_cast<std::uint8_t>(value[1]);
      break;
    case kDns:
      for (std::size_t at = 0; at + 4 <= value.size() && reply.dns.size() < kMaxServers; at += 4)
        reply.dns.push_back(word_at(value, at));
      break;
    default:
      break;
  }
}

}  // namespace

std::string render_dhcp(const DhcpQuery& query) {
  std::string out(kFixedSize, '\0');
  out[0] = 1;  // a request
  out[1] = 1;  // Ethernet
  out[2] = 6;  // bytes of a MAC
  std::memcpy(out.data() + 4, &query.transaction, 4);
  if (query.broadcast) out[10] = static_cast<char>(0x80);
  std::memcpy(out.data() + 12, &query.client, 4);
  std::memcpy(out.data() + 28, query.mac.data(), query.mac.size());
  out += kCookie;
  const char type = static_cast<char>(query.type);
  put_option(out, kMessageType, {&type, 1});
  // The MAC, and not a made-up identity that clones would share.
  std::string id(1, '\1');
  id.append(reinterpret_cast<const char*>(query.mac.data()), query.mac.size());
  put_option(out, kClientId, id);
  put_address(out, kRequestedAddress, query.requested);
  put_address(out, kServer, query.server);
  if (!query.hostname.empty()) put_option(out, kHostname, query.hostname.substr(0, 63));
  constexpr char kWanted[] = {kNetmask, kRouter, kDns, kMtu, kLeaseTime};
  put_option(out, kParameters, {kWanted, sizeof kWanted});
  out += static_cast<char>(kEnd);
  if (out.size() < kMinPacket) out.resize(kMinPacket);
  return out;
}

std::optional<DhcpReply> parse_dhcp(std::string_view packet, std::uint32_t transaction,
                                    const std::array<std::uint8_t, 6>& mac) {
  if (packet.size() < kFixedSize + kCookie.size() || packet[0] != 2) return std::nullopt;
  if (word_at(packet, 4) != transaction || packet.substr(kFixedSize, 4) != kCookie ||
      std::memcmp(packet.data() + 28, mac.data(), mac.size()) != 0)
    return std::nullopt;
  DhcpReply reply;
  reply.type = static_cast<DhcpType>(0);
  reply.address = word_at(packet, 16);
  reply.netmask = htonl(kNoMask << 8);
  std::string_view options = packet.substr(kFixedSize + kCookie.size());
  while (!options.empty()) {
    const auto option = static_cast<std::uint8_t>(options[0]);
    options.remove_prefix(1);
    if (option == kPad) continue;
    if (option == kEnd || options.empty()) break;
    const auto size = static_cast<std::uint8_t>(options[0]);
    options.remove_prefix(1);
    if (size > options.size()) break;
    read_option(option, options.substr(0, size), reply);
    options.remove_prefix(size);
  }
  return reply;
}

}  // namespace cocoon::guest
