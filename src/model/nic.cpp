// SPDX-License-Identifier: Apache-2.0
#include "model/nic.h"

#include <arpa/inet.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "model/json_fields.h"

namespace cocoon::model {
namespace {

using nlohmann::json;

constexpr int kMaxPairs = 128;
constexpr int kMaxMtu = 65535;
constexpr std::size_t kMaxDeviceName = 15;  // IFNAMSIZ without the NUL

bool is_device_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxDeviceName && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < 0x7f && c != '/' && c != ':' && c != ',' && c != '=';
         });
}

// "a.b.c.d/len"
bool is_ipv4_network(std::string_view text) {
  auto slash = text.find('/');
  if (slash == std::string_view::npos || !is_ipv4(text.substr(0, slash))) return false;
  auto length = parse_decimal(text.substr(slash + 1));
  return length && *length <= 32;
}

Result<void> check_address(const NicAddress& address) {
  if (!is_ipv4(address.ip) || address.prefix < 1 || address.prefix > 32) {
    return fail(ErrorKind::kInvalid, "\"{}/{}\" is no IPv4 address", address.ip, address.prefix);
  }
  if (!address.gateway.empty() && !is_ipv4(address.gateway)) {
    return fail(ErrorKind::kInvalid, "gateway \"{}\" is no IPv4 address", address.gateway);
  }
  return {};
}

Result<void> check_place(const Nic& nic) {
  if (nic.backend == kUserNic) {
    if (nic.tap.empty() && nic.netns_path.empty()) return {};
    return fail(ErrorKind::kInvalid, "a user-mode NIC has neither TAP nor namespace");
  }
  if (nic.backend != kCniNic && nic.backend != kBridgeNic) {
    return fail(ErrorKind::kInvalid, "unknown kind of network \"{}\"", nic.backend);
  }
  if (!is_device_name(nic.tap)) return fail(ErrorKind::kInvalid, "TAP \"{}\"", nic.tap);
  if ((nic.backend == kBridgeNic) != is_device_name(nic.bridge_dev)) {
    return fail(ErrorKind::kInvalid, "bridge \"{}\"", nic.bridge_dev);
  }
  if (!nic.netns_path.starts_with('/')) {
    return fail(ErrorKind::kInvalid, "namespace \"{}\" is no absolute path", nic.netns_path);
  }
  return {};
}

Result<void> check_nic(const Nic& nic) {
  COCOON_TRY(check_place(nic));
  if (!is_mac(nic.mac)) return fail(ErrorKind::kInvalid, "\"{}\" is no MAC address", nic.mac);
  if (nic.num_queues < 2 || nic.num_queues % 2 != 0 || nic.num_queues > 2 * kMaxPairs) {
    return fail(ErrorKind::kInvalid, "{} queues", nic.num_queues);
  }
  if (nic.queue_size < 0 || nic.mtu < 0 || nic.mtu > kMaxMtu) {
    return fail(ErrorKind::kInvalid, "queue size {}, MTU {}", nic.queue_size, nic.mtu);
  }
  if (nic.network) COCOON_TRY(check_address(*nic.network));
  for (const NicRoute& route : nic.routes) {
    if (is_ipv4_network(route.destination) && (route.gateway.empty() || is_ipv4(route.gateway)))
      continue;
    return fail(ErrorKind::kInvalid, "route to \"{}\" through \"{}\"", route.destination,
                route.gateway);
  }
  for (const std::string& server : nic.dns) {
    if (!is_ipv4(server) && !is_ipv6(server)) {
      return fail(ErrorKind::kInvalid, "name server \"{}\" is no IP address", server);
    }
  }
  return {};
}

Result<void> parse_address(const json& in, Nic& nic) {
  NicAddress address;
  Fields fields(in, "network");
  fields.get("ip", address.ip);
  fields.get("gateway", address.gateway);
  fields.get("prefix", address.prefix);
  COCOON_TRY(fields.check());
  if (!address.ip.empty()) nic.network = std::move(address);
  return {};
}

Result<void> parse_routes(const json& in, Nic& nic) {
  if (!in.is_array()) return fail(ErrorKind::kCorrupt, "routes is not a list");
  for (const json& one : in) {
    NicRoute route;
    Fields fields(one, "route");
    fields.get("dst", route.destination);
    fields.get("gw", route.gateway);
    COCOON_TRY(fields.check());
    nic.routes.push_back(std::move(route));
  }
  return {};
}

Result<int> parse_port(std::string_view text) {
  auto number = parse_decimal(text);
  if (!number || *number < 1 || *number > 65535) {
    return fail(ErrorKind::kInvalid, "\"{}\" is no port number", text);
  }
  return static_cast<int>(*number);
}

}  // namespace

bool is_ipv4(std::string_view text) {
  in_addr ignored{};
  std::string copy(text);
  return copy.size() == std::char_traits<char>::length(copy.c_str()) &&
         inet_pton(AF_INET, copy.c_str(), &ignored) == 1;
}

bool is_ipv6(std::string_view text) {
  in6_addr ignored{};
  std::string copy(text);
  return copy.size() == std::char_traits<char>::length(copy.c_str()) &&
         inet_pton(AF_INET6, copy.c_str(), &ignored) == 1;
}

bool is_mac(std::string_view text) {
  if (text.size() != 17 || text == "00:00:00:00:00:00") return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (i % 3 == 2 ? text[i] != ':' : !hex) return false;
  }
  constexpr std::string_view kStation = "02468ace";  // the lowest bit of byte 0 says: a group
  return kStation.find(text[1]) != std::string_view::npos;
}

std::string netmask(int prefix) {
  std::uint32_t bits = prefix <= 0 ? 0 : ~std::uint32_t{0} << (32 - std::min(prefix, 32));
  return fmt::format("{}.{}.{}.{}", bits >> 24, bits >> 16 & 0xff, bits >> 8 & 0xff, bits & 0xff);
}

void to_json(json& out, const Nic& nic) {
  out = {{"tap", nic.tap},
         {"mac", nic.mac},
         {"num_queues", nic.num_queues},
         {"queue_size", nic.queue_size},
         {"backend", nic.backend}};
  if (!nic.bridge_dev.empty()) out["bridge_dev"] = nic.bridge_dev;
  if (!nic.netns_path.empty()) out["netns_path"] = nic.netns_path;
  if (nic.mtu != 0) out["mtu"] = nic.mtu;
  if (nic.network) {
    json network = {{"ip", nic.network->ip}, {"prefix", nic.network->prefix}};
    if (!nic.network->gateway.empty()) network["gateway"] = nic.network->gateway;
    out["network"] = std::move(network);
  }
  for (const NicRoute& route : nic.routes) {
    json one = {{"dst", route.destination}};
    if (!route.gateway.empty()) one["gw"] = route.gateway;
    out["routes"].push_back(std::move(one));
  }
  if (!nic.dns.empty()) out["dns"] = nic.dns;
}

Result<Nic> parse_nic(const json& in) {
  Nic nic;
  nic.backend = kCniNic;
  Fields fields(in, "NIC");
  fields.get("tap", nic.tap);
  fields.get("mac", nic.mac);
  fields.get("num_queues", nic.num_queues);
  fields.get("queue_size", nic.queue_size);
  fields.get("backend", nic.backend);
  fields.get("bridge_dev", nic.bridge_dev);
  fields.get("netns_path", nic.netns_path);
  fields.get("mtu", nic.mtu);
  fields.get("dns", nic.dns);
  COCOON_TRY(fields.check());
  if (const json* network = fields.find("network")) COCOON_TRY(parse_address(*network, nic));
  if (const json* routes = fields.find("routes")) COCOON_TRY(parse_routes(*routes, nic));
  return nic;
}

void to_json(json& out, const PortMapping& port) {
  out = {
      {"host_port", port.host_port}, {"guest_port", port.guest_port}, {"protocol", port.protocol}};
  if (!port.host_ip.empty()) out["host_ip"] = port.host_ip;
}

Result<PortMapping> parse_port_mapping(const json& in) {
  PortMapping port;
  Fields fields(in, "port");
  fields.get("host_ip", port.host_ip);
  fields.get("host_port", port.host_port);
  fields.get("guest_port", port.guest_port);
  fields.get("protocol", port.protocol);
  COCOON_TRY(fields.check());
  return port;
}

Result<PortMapping> parse_publish(std::string_view text) {
  PortMapping port;
  std::string_view rest = text;
  if (auto slash = rest.find('/'); slash != std::string_view::npos) {
    port.protocol = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  auto guest = rest.rfind(':');
  if (guest == std::string_view::npos) {
    return fail(ErrorKind::kInvalid, "\"{}\": wanted [ADDRESS:]HOST:GUEST[/udp]", text);
  }
  port.guest_port = COCOON_TRY(parse_port(rest.substr(guest + 1)), "\"{}\"", text);
  rest = rest.substr(0, guest);
  if (auto host = rest.rfind(':'); host != std::string_view::npos) {
    port.host_ip = rest.substr(0, host);
    if (port.host_ip.starts_with('[') && port.host_ip.ends_with(']')) {
      port.host_ip = port.host_ip.substr(1, port.host_ip.size() - 2);
    }
    rest = rest.substr(host + 1);
    if (port.host_ip.empty()) return fail(ErrorKind::kInvalid, "\"{}\": no address", text);
  }
  port.host_port = COCOON_TRY(parse_port(rest), "\"{}\"", text);
  COCOON_TRY(validate_ports({port}), "\"{}\"", text);
  return port;
}

Result<void> validate_nics(const std::vector<Nic>& nics) {
  if (nics.size() > static_cast<std::size_t>(kMaxNics)) {
    return fail(ErrorKind::kInvalid, "{} NICs; {} is the limit", nics.size(), kMaxNics);
  }
  std::set<std::string_view> macs;
  std::set<std::string_view> taps;
  for (std::size_t i = 0; i < nics.size(); ++i) {
    COCOON_TRY(check_nic(nics[i]), "NIC {}", i);
    bool one_kind = nics[i].backend == nics[0].backend && nics[i].netns_path == nics[0].netns_path;
    if (!one_kind) return fail(ErrorKind::kInvalid, "NICs of different kinds");
    if (!macs.insert(nics[i].mac).second) {
      return fail(ErrorKind::kInvalid, "two NICs with MAC {}", nics[i].mac);
    }
    if (!nics[i].tap.empty() && !taps.insert(nics[i].tap).second) {
      return fail(ErrorKind::kInvalid, "two NICs on {}", nics[i].tap);
    }
  }
  return {};
}

Result<void> validate_ports(const std::vector<PortMapping>& ports) {
  std::set<std::string> taken;
  for (const PortMapping& port : ports) {
    bool in_range = port.host_port >= 1 && port.host_port <= 65535 && port.guest_port >= 1 &&
                    port.guest_port <= 65535;
    if (!in_range) return fail(ErrorKind::kInvalid, "a published port is out of range");
    if (port.protocol != "tcp" && port.protocol != "udp") {
      return fail(ErrorKind::kInvalid, "protocol \"{}\": wanted tcp or udp", port.protocol);
    }
    if (!port.host_ip.empty() && !is_ipv4(port.host_ip) && !is_ipv6(port.host_ip)) {
      return fail(ErrorKind::kInvalid, "\"{}\" is no IP address", port.host_ip);
    }
    auto key = fmt::format("{} {} {}", port.host_ip, port.host_port, port.protocol);
    if (!taken.insert(key).second) {
      return fail(ErrorKind::kInvalid, "port {}/{} of the host is published twice", port.host_port,
                  port.protocol);
    }
  }
  return {};
}

}  // namespace cocoon::model
