// SPDX-License-Identifier: Apache-2.0
// Network interfaces and published ports of a VM: plain data, JSON, rules (spec 01 §10.1, 05 §0).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cocoon::model {

// Who makes the network that a NIC is on.
inline constexpr std::string_view kCniNic = "cni";
inline constexpr std::string_view kBridgeNic = "bridge";
inline constexpr std::string_view kUserNic = "user";  // passt, QEMU only

inline constexpr int kMaxNics = 8;

// A static address that the guest gives its NIC.
struct NicAddress {
  std::string ip;       // IPv4
  std::string gateway;  // empty: none
  int prefix = 0;
  bool operator==(const NicAddress&) const = default;
};

struct NicRoute {
  std::string destination;  // a.b.c.d/len
  std::string gateway;      // empty: on the link
  bool operator==(const NicRoute&) const = default;
};

struct Nic {
  std::string tap;     // device in the VM's network namespace: tap0, tap1…; empty in user mode
  std::string mac;     // the guest's, lower-case; in CNI mode only known once the plugins have run
  int num_queues = 2;  // virtqueues; the TAP has half as many queues, and is a multi-queue one when
                       // that is more than one
  int queue_size = 512;
  std::string backend;                // kCniNic, kBridgeNic, kUserNic
  std::string bridge_dev;             // bridge mode: the host's bridge
  std::string netns_path;             // the VM's namespace, empty in user mode
  int mtu = 0;                        // 0: the driver's default
  std::optional<NicAddress> network;  // none: the guest asks DHCP
  std::vector<NicRoute> routes;       // besides the one through the gateway
  std::vector<std::string> dns;       // what the network says; empty: the configured servers
  bool operator==(const Nic&) const = default;

  int queue_pairs() const { return num_queues > 2 ? num_queues / 2 : 1; }
};

// A port of the host that leads to one of the guest's first NIC.
struct PortMapping {
  std::string host_ip;  // empty: every address
  int host_port = 0;
  int guest_port = 0;
  std::string protocol = "tcp";  // tcp, udp
  bool operator==(const PortMapping&) const = default;
};

void to_json(nlohmann::json& out, const Nic& nic);
Result<Nic> parse_nic(const nlohmann::json& in);
void to_json(nlohmann::json& out, const PortMapping& port);
Result<PortMapping> parse_port_mapping(const nlohmann::json& in);

// [HOST_IP:]HOST:GUEST[/tcp|/udp], as --publish takes it. kInvalid.
Result<PortMapping> parse_publish(std::string_view text);

// Everything that must hold for the NICs and ports of a record. kInvalid.
Result<void> validate_nics(const std::vector<Nic>& nics);
Result<void> validate_ports(const std::vector<PortMapping>& ports);

bool is_ipv4(std::string_view text);
bool is_ipv6(std::string_view text);
// xx:xx:xx:xx:xx:xx in lower case, of one station (not multicast), not zero.
bool is_mac(std::string_view text);
// "255.255.0.0" for 16.
std::string netmask(int prefix);

}  // namespace cocoon::model
