// SPDX-License-Identifier: Apache-2.0
//
// DHCP messages (RFC 2131, 2132) as a client needs them. Pure. What arrives is from the network and
// is believed no further than its bounds.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cocoon::guest {

enum class DhcpType : std::uint8_t { kDiscover = 1, kOffer = 2, kRequest = 3, kAck = 5, kNak = 6 };

/// What a client says. Addresses are in network byte order; 0 means not said.
struct DhcpQuery {
  DhcpType type = DhcpType::kDiscover;
  std::uint32_t transaction = 0;
  std::array<std::uint8_t, 6> mac{};
  std::uint32_t client = 0;     // the address it has: when it renews
  std::uint32_t requested = 0;  // the address it wants
  std::uint32_t server = 0;     // whose offer it takes
  std::string hostname;
  bool broadcast = true;  // it cannot receive anything else yet
};

std::string render_dhcp(const DhcpQuery& query);

/// What a server says.
struct DhcpReply {
  DhcpType type = DhcpType::kOffer;
  std::uint32_t address = 0;
  std::uint32_t server = 0;
  std::uint32_t netmask = 0;
  std::uint32_t gateway = 0;
  std::uint32_t lease_seconds = 0;
  std::uint32_t mtu = 0;
  std::vector<std::uint32_t> dns;
};

/// The reply to this transaction of this client; nullopt for anything else.
std::optional<DhcpReply> parse_dhcp(std::string_view packet, std::uint32_t transaction,
                                    const std::array<std::uint8_t, 6>& mac);

}  // namespace cocoon::guest
