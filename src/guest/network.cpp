// SPDX-License-Identifier: Apache-2.0
#include "guest/network.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "guest/dhcp.h"
#include "guest/fd.h"
#include "guest/identity.h"

namespace cocoon::guest {
namespace {

using namespace std::chrono_literals;

constexpr int kLastIndex = 256;
// The driver is loaded already, but the device may be a moment behind.
constexpr auto kDeviceLimit = 3s;
// A server that does not answer must not hold the boot up for long; its answer may come later.
constexpr auto kLeaseLimit = 10s;
constexpr unsigned kMetricStep = 100;

class Control {
 public:
  Control() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

  Result<void> call(const std::string& name, unsigned long request, ifreq& data,
                    const char* what) const {
    if (name.size() >= sizeof data.ifr_name) return fail(name, "name too long");
    std::memcpy(data.ifr_name, name.c_str(), name.size() + 1);
    if (::ioctl(socket_.get(), request, &data) != 0) return fail_errno(name, what);
    return {};
  }

  /// Empty: there is no interface of this index.
  std::string name_of(int index) const {
    ifreq data{};
    data.ifr_ifindex = index;
    return ::ioctl(socket_.get(), SIOCGIFNAME, &data) == 0 ? data.ifr_name : "";
  }

  Result<void> set_address(const std::string& name, unsigned long request, in_addr_t address,
                           const char* what) const {
    ifreq data{};
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_addr.s_addr = address;
    std::memcpy(&data.ifr_addr, &place, sizeof place);
    return call(name, request, data, what);
  }

  Result<void> set_up(const std::string& name, bool up) const {
    ifreq data{};
    COCOON_GUEST_TRY(call(name, SIOCGIFFLAGS, data, "flags"));
    const int flags = up ? data.ifr_flags | IFF_UP : data.ifr_flags & ~IFF_UP;
    data.ifr_flags = static_cast<short>(flags);
    return call(name, SIOCSIFFLAGS, data, up ? "bring up" : "take down");
  }

  Result<void> add_route(rtentry& route, const char* what) const {
    if (::ioctl(socket_.get(), SIOCADDRT, &route) != 0 && errno != EEXIST)
      return fail_errno(what, "route");
    return {};
  }

 private:
  UniqueFd socket_;
};

in_addr_t number_of(const std::string& address) {
  in_addr parsed{};
  return ::inet_pton(AF_INET, address.c_str(), &parsed) == 1 ? parsed.s_addr : 0;
}

void put(sockaddr& out, in_addr_t address) {
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = address;
  std::memcpy(&out, &place, sizeof out);
}

Result<void> add_route(const Control& control, const InterfaceSettings& settings,
                       const NicRoute& to, unsigned metric) {
  rtentry route{};
  std::string device = settings.name;
  const in_addr_t mask = netmask_bits(to.prefix);
  put(route.rt_dst, number_of(to.address) & mask);
  put(route.rt_genmask, mask);
  put(route.rt_gateway, number_of(to.gateway));
  route.rt_dev = device.data();
  route.rt_metric = static_cast<short>(metric + 1);  // the kernel takes one off
  route.rt_flags = RTF_UP;
  if (!to.gateway.empty()) route.rt_flags |= RTF_GATEWAY;
  if (to.prefix == 32) route.rt_flags |= RTF_HOST;
  return control.add_route(route, device.c_str());
}

/// A gateway outside of the interface's own network (a point-to-point link) is on the link.
bool is_on_link(const InterfaceSettings& settings) {
  const in_addr_t mask = netmask_bits(settings.prefix);
  return (number_of(settings.address) & mask) == (number_of(settings.gateway) & mask);
}

std::string mac_text(const char* bytes) {
  std::string out;
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (int i = 0; i < 6; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (i > 0) out += ':';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

/// The interface that has this MAC; empty: none. Asked by index: sysfs has moved to the new root.
std::string find_interface(const Control& control, const std::string& mac) {
  for (int index = 1; index <= kLastIndex; ++index) {
    const std::string name = control.name_of(index);
    ifreq data{};
    if (name.empty() || !control.call(name, SIOCGIFHWADDR, data, "MAC")) continue;
    if (mac_text(data.ifr_hwaddr.sa_data) == mac) return name;
  }
  return {};
}

std::string wait_for_interface(const Control& control, const std::string& mac) {
  const Deadline deadline(kDeviceLimit);
  while (true) {
    std::string name = find_interface(control, mac);
    if (!name.empty() || deadline.passed()) return name;
    pause_for(20ms);
  }
}

Result<void> rename_interface(const Control& control, const std::string& from,
                              const std::string& to) {
  if (from == to) return {};
  ifreq data{};
  std::memcpy(data.ifr_newname, to.c_str(), to.size() + 1);
  return control.call(from, SIOCSIFNAME, data, "rename");
}

Result<void> set_mtu(const Control& control, const std::string& name, unsigned mtu) {
  if (mtu == 0) return {};
  ifreq data{};
  data.ifr_mtu = static_cast<int>(mtu);
  return control.call(name, SIOCSIFMTU, data, "MTU");
}

/// Finds, names and starts the interface.
Result<void> prepare(const Control& control, const Nic& nic, const std::string& name) {
  const std::string found = wait_for_interface(control, nic.mac);
  if (found.empty()) return fail(name, "no interface with MAC " + nic.mac);
  COCOON_GUEST_TRY(rename_interface(control, found, name));
  COCOON_GUEST_TRY(set_mtu(control, name, nic.mtu));
  return control.set_up(name, true);
}

}  // namespace

unsigned netmask_bits(unsigned prefix) {
  return prefix == 0 ? 0 : htonl(~0U << (32 - (prefix > 32 ? 32 : prefix)));
}

Result<void> clear_address(const std::string& name) {
  return Control().set_address(name, SIOCSIFADDR, 0, "clear address");
}

Result<void> apply_settings(const InterfaceSettings& settings) {
  const Control control;
  COCOON_GUEST_TRY(set_mtu(control, settings.name, settings.mtu));
  COCOON_GUEST_TRY(
      control.set_address(settings.name, SIOCSIFADDR, number_of(settings.address), "address"));
  COCOON_GUEST_TRY(
      control.set_address(settings.name, SIOCSIFNETMASK, netmask_bits(settings.prefix), "netmask"));
  for (const NicRoute& route : settings.routes)
    COCOON_GUEST_TRY(add_route(control, settings, route, settings.metric));
  if (settings.gateway.empty()) return {};
  if (!is_on_link(settings))
    COCOON_GUEST_TRY(add_route(control, settings, {settings.gateway, 32, ""}, settings.metric));
  return add_route(control, settings, {"0.0.0.0", 0, settings.gateway}, settings.metric);
}

void configure_network(const BootConfig& config, const RootDir& root, Console& console) {
  const Control control;
  std::vector<LeaseKeeper> keepers;
  for (std::size_t i = 0; i < config.nics.size(); ++i) {
    const Nic& nic = config.nics[i];
    const std::string name = "eth" + std::to_string(i);
    const unsigned metric = static_cast<unsigned>(i) * kMetricStep;
    auto done = prepare(control, nic, name);
    if (done && nic.address.empty()) {
      auto keeper = LeaseKeeper::start(name, nic.mac, config.hostname, metric);
      if (keeper)
        keepers.push_back(std::move(*keeper));
      else
        done = tl::make_unexpected(keeper.error());
    } else if (done) {
      done =
          apply_settings({name, nic.address, nic.prefix, nic.gateway, nic.mtu, metric, nic.routes});
    }
    if (!done) console.say("network: " + done.error().text());
  }
  const Deadline deadline(kLeaseLimit);
  std::vector<std::string> dns;
  for (LeaseKeeper& keeper : keepers) {
    const auto lease = keeper.first_lease(deadline);
    if (!lease) console.say("network: " + lease.error().text());
    if (lease) dns.insert(dns.end(), lease->dns.begin(), lease->dns.end());
  }
  if (dns.empty()) return;
  const auto written = root.replace_file("/etc/resolv.conf", render_resolv_conf(dns));
  if (!written) console.say(written.error().text());
}

}  // namespace cocoon::guest
