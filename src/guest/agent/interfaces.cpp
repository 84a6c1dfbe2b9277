// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include "guest/agent/route_socket.h"
#include "guest/fd.h"

namespace cocoon::guest {
namespace {

constexpr std::size_t kMacSize = 6;
using Mac = std::array<unsigned char, kMacSize>;

struct Interface {
  unsigned index = 0;
  std::string name;
  Mac mac{};
};

bool parse_mac(const std::string& text, Mac& mac) {
  std::array<unsigned, kMacSize> bytes{};
  int end = 0;
  if (std::sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%n", &bytes[0], &bytes[1], &bytes[2],
                  &bytes[3], &bytes[4], &bytes[5], &end) != static_cast<int>(kMacSize) ||
      static_cast<std::size_t>(end) != text.size())
    return false;
  std::transform(bytes.begin(), bytes.end(), mac.begin(),
                 [](unsigned byte) { return static_cast<unsigned char>(byte); });
  return true;
}

UniqueFd control_socket() { return UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

/// NICs proper: a bridge or a tunnel that a program in the guest made has no device behind it.
bool has_device(const std::string& name) {
  return ::access(("/sys/class/net/" + name + "/device").c_str(), F_OK) == 0;
}

std::vector<Interface> list_nics(const UniqueFd& control) {
  std::vector<Interface> nics;
  struct if_nameindex* all = ::if_nameindex();
  for (const struct if_nameindex* at = all; at != nullptr && at->if_index != 0; ++at) {
    Interface nic{.index = at->if_index, .name = at->if_name};
    if (!has_device(nic.name)) continue;
    ifreq request = request_for(nic.name);
    if (::ioctl(control.get(), SIOCGIFHWADDR, &request) != 0) continue;
    std::memcpy(nic.mac.data(), request.ifr_hwaddr.sa_data, kMacSize);
    nics.push_back(std::move(nic));
  }
  if (all != nullptr) ::if_freenameindex(all);
  std::sort(nics.begin(), nics.end(),
            [](const Interface& a, const Interface& b) { return a.index < b.index; });
  return nics;
}

Result<Interface> find(const UniqueFd& control, const agent_wire::IdentityNic& wanted) {
  const std::vector<Interface> nics = list_nics(control);
  if (wanted.find_mac.empty()) {
    if (wanted.index < 0 || wanted.index >= static_cast<std::int64_t>(nics.size()))
      return fail("interface", "the guest has only " + std::to_string(nics.size()));
    return nics[static_cast<std::size_t>(wanted.index)];
  }
  Mac mac{};
  if (!parse_mac(wanted.find_mac, mac)) return fail("MAC", "not usable");
  // Applied already: it has its new one.
  Mac changed{};
  const bool has_new = parse_mac(wanted.mac, changed);
  for (const Interface& nic : nics)
    if (nic.mac == mac || (has_new && nic.mac == changed)) return nic;
  return fail("interface", "none has " + wanted.find_mac);
}

Result<void> set_flags(const UniqueFd& control, const std::string& name, bool up) {
  ifreq request = request_for(name);
  if (::ioctl(control.get(), SIOCGIFFLAGS, &request) != 0) return fail_errno(name, "flags");
  const int flags = request.ifr_flags;
  const int wanted = up ? flags | IFF_UP : flags & ~IFF_UP;
  if (flags == wanted) return {};
  request.ifr_flags = static_cast<short>(wanted);
  if (::ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) return fail_errno(name, "flags");
  return {};
}

Result<void> set_mac(const UniqueFd& control, const Interface& nic, const std::string& text) {
  Mac mac{};
  if (!parse_mac(text, mac)) return fail(nic.name, "MAC: not usable");
  if (nic.mac == mac) return {};
  ifreq request = request_for(nic.name);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(request.ifr_hwaddr.sa_data, mac.data(), kMacSize);
  // virtio_net changes it while it is up; others want it down.
  if (::ioctl(control.get(), SIOCSIFHWADDR, &request) == 0) return {};
  COCOON_GUEST_TRY(set_flags(control, nic.name, false));
  if (::ioctl(control.get(), SIOCSIFHWADDR, &request) != 0) return fail_errno(nic.name, "MAC");
  return {};
}

Result<void> set_mtu(const UniqueFd& control, const std::string& name, std::int64_t mtu) {
  ifreq request = request_for(name);
  request.ifr_mtu = static_cast<int>(std::clamp<std::int64_t>(mtu, 68, 65535));
  if (::ioctl(control.get(), SIOCSIFMTU, &request) != 0) return fail_errno(name, "MTU");
  return {};
}

}  // namespace

Result<void> apply_nic(const agent_wire::IdentityNic& wanted) {
  const UniqueFd control = control_socket();
  if (!control) return fail_errno("socket");
  const Interface nic = COCOON_GUEST_TRY(find(control, wanted));
  if (!wanted.mac.empty()) COCOON_GUEST_TRY(set_mac(control, nic, wanted.mac));
  if (wanted.mtu > 0) COCOON_GUEST_TRY(set_mtu(control, nic.name, wanted.mtu));
  COCOON_GUEST_TRY(set_flags(control, nic.name, true));
  if (!wanted.set_addresses) return {};
  RouteSocket routes = COCOON_GUEST_TRY(RouteSocket::open());
  COCOON_GUEST_TRY(routes.replace_addresses(nic.index, wanted.addresses));
  for (const agent_wire::IdentityRoute& route : wanted.routes)
    COCOON_GUEST_TRY(routes.replace_route(nic.index, route.to, route.via));
  return {};
}

}  // namespace cocoon::guest
