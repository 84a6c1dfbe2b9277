// SPDX-License-Identifier: Apache-2.0
#include "cidata/network_config.h"

#include <arpa/inet.h>

#include "base/text.h"

namespace cocoon::cidata {
namespace {

enum class Family { kNone, kV4, kV6 };

// inet_pton(3) takes exactly the forms that systemd-networkd and netplan take. Zone ids ("%eth0")
// are no part of them, so the text of an address is digits, letters, dots and colons only.
Family family_of(const std::string& text) {
  unsigned char bytes[sizeof(in6_addr)] = {};
  if (text.find('\0') != std::string::npos) return Family::kNone;
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) return Family::kV4;
  return inet_pton(AF_INET6, text.c_str(), bytes) == 1 ? Family::kV6 : Family::kNone;
}

bool is_mac(std::string_view text) {
  if (text.size() != 17) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (i % 3 == 2 ? text[i] != ':' : !hex) return false;
  }
  return true;
}

Result<void> check_address(const SeedNic& nic) {
  Family family = family_of(nic.address);
  if (family == Family::kNone) {
    return fail(ErrorKind::kInvalid, "\"{}\" is not an IP address", escape_controls(nic.address));
  }
  if (nic.prefix < 1 || nic.prefix > (family == Family::kV4 ? 32 : 128)) {
    return fail(ErrorKind::kInvalid, "{}/{} is not an IP network", nic.address, nic.prefix);
  }
  if (!nic.gateway.empty() && family_of(nic.gateway) != family) {
    return fail(ErrorKind::kInvalid, "\"{}\" is not a gateway for {}/{}",
                escape_controls(nic.gateway), nic.address, nic.prefix);
  }
  return {};
}

struct Usable {
  std::size_t index = 0;  // among the usable NICs
  SeedNic nic;            // checked, MAC in lower case

  bool is_dhcp() const { return nic.address.empty(); }
  std::size_t metric() const { return 100 + 100 * index; }
};

Result<std::vector<Usable>> usable_nics(const std::vector<SeedNic>& nics,
                                        const std::vector<std::string>& dns) {
  for (const std::string& server : dns) {
    if (family_of(server) == Family::kNone) {
      return fail(ErrorKind::kInvalid, "name server \"{}\" is not an IP address",
                  escape_controls(server));
    }
  }
  std::vector<Usable> usable;
  for (const SeedNic& nic : nics) {
    if (nic.mac.empty()) continue;
    Usable one{usable.size(), nic};
    one.nic.mac = to_lower(nic.mac);
    if (!is_mac(one.nic.mac)) {
      return fail(ErrorKind::kInvalid, "\"{}\" is not a MAC address", escape_controls(nic.mac));
    }
    if (!one.is_dhcp()) COCOON_TRY(check_address(nic), "NIC {}", nic.mac);
    usable.push_back(std::move(one));
  }
  return usable;
}

// Checked addresses need no escapes, but quotes: 1:2:3:4:5:6:7:8 is a number in YAML 1.1.
std::string render_ethernet(const Usable& one, const std::vector<std::string>& dns) {
  const SeedNic& nic = one.nic;
  std::string out =
      fmt::format("  id{}:\n    match:\n      macaddress: \"{}\"\n", one.index, nic.mac);
  if (one.is_dhcp()) return out + "    dhcp4: true\n    dhcp-identifier: mac\n";
  out += fmt::format("    addresses:\n      - \"{}/{}\"\n", nic.address, nic.prefix);
  if (!nic.gateway.empty()) {
    // Not "default": the cloud-init of Debian 12 knows that word for netplan only.
    out += fmt::format("    routes:\n      - to: \"{}\"\n        via: \"{}\"\n",
                       family_of(nic.gateway) == Family::kV4 ? "0.0.0.0/0" : "::/0", nic.gateway);
    if (one.index > 0) out += fmt::format("        metric: {}\n", one.metric());
  }
  if (dns.empty()) return out;
  out += "    nameservers:\n      addresses:\n";
  for (const std::string& server : dns) out += fmt::format("        - \"{}\"\n", server);
  return out;
}

// Lines of a systemd.network(5) unit. RequiredForOnline belongs to [Link] (spec 05 §8 c4).
std::vector<std::string> render_unit(const Usable& one, const std::vector<std::string>& dns) {
  const SeedNic& nic = one.nic;
  std::vector<std::string> lines{"[Match]", "MACAddress=" + nic.mac, "", "[Link]", "", "[Network]"};
  lines.insert(lines.begin() + 4,
               fmt::format("RequiredForOnline={}", one.index == 0 ? "yes" : "no"));
  if (one.is_dhcp()) {
    lines.insert(lines.end(), {"DHCP=ipv4", "", "[DHCPv4]", "ClientIdentifier=mac"});
    return lines;
  }
  lines.push_back(fmt::format("Address={}/{}", nic.address, nic.prefix));
  bool own_route = !nic.gateway.empty() && one.index > 0;
  if (!nic.gateway.empty() && !own_route) lines.push_back("Gateway=" + nic.gateway);
  for (const std::string& server : dns) lines.push_back("DNS=" + server);
  if (own_route) {
    lines.insert(lines.end(),
                 {"", "[Route]", "Gateway=" + nic.gateway, fmt::format("Metric={}", one.metric())});
  }
  return lines;
}

}  // namespace

Result<std::optional<std::string>> render_network_config(const std::vector<SeedNic>& nics,
                                                         const std::vector<std::string>& dns) {
  std::vector<Usable> usable = COCOON_TRY(usable_nics(nics, dns));
  if (usable.empty()) return std::optional<std::string>();
  std::string out = "version: 2\nethernets:\n";
  for (const Usable& one : usable) out += render_ethernet(one, dns);
  return std::optional<std::string>(std::move(out));
}

Result<std::string> render_network_units(const std::vector<SeedNic>& nics,
                                         const std::vector<std::string>& dns) {
  std::vector<Usable> usable = COCOON_TRY(usable_nics(nics, dns));
  std::string out;
  for (const Usable& one : usable) {
    out += fmt::format(
        "  - path: /etc/systemd/network/15-cocoon-id{}.network\n"
        "    owner: root:root\n"
        "    permissions: '0644'\n"
        "    content: |\n",
        one.index);
    for (const std::string& line : render_unit(one, dns)) {
      out += line.empty() ? "\n" : "      " + line + "\n";
    }
  }
  return out;
}

}  // namespace cocoon::cidata
