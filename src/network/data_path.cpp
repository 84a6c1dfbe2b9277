// SPDX-License-Identifier: Apache-2.0
#include "network/data_path.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "network/netlink.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::network {
namespace {

using Requests = std::vector<Request>;

constexpr std::uint32_t kTapQueueLength = 10'000;
constexpr std::uint32_t kGroMaxSize = 65'536;
constexpr std::uint32_t kFilterInfo = TC_H_MAKE(1U << 16, 0);  // priority 1; the protocol is added
constexpr int kEthAll = 0x0003;

enum class Classifier { kMatchall, kU32 };

ifinfomsg link_info(int index) {
  ifinfomsg info{};
  info.ifi_index = index;
  return info;
}

Request set_link(std::string what, int index) {
  ifinfomsg info = link_info(index);
  Request request(std::move(what), RTM_SETLINK, 0);
  request.body(&info, sizeof info);
  return request;
}

Request bring_up(const Link& link) {
  ifinfomsg info = link_info(link.index);
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  Request request(fmt::format("bring {} up", link.name), RTM_NEWLINK, 0);
  request.body(&info, sizeof info);
  return request;
}

// The host must not talk into the guest's link on its own account.
Request no_link_local(const Link& link) {
  Request request = set_link(fmt::format("no IPv6 on {}", link.name), link.index);
  request.begin(IFLA_AF_SPEC).begin(AF_INET6);
  request.put_u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  request.end().end();
  request.accept(EAFNOSUPPORT).accept(EOPNOTSUPP).accept(EINVAL);  // a kernel without IPv6
  return request;
}

Request delete_address(const Link& link, const Address& address) {
  ifaddrmsg info{};
  info.ifa_family = static_cast<unsigned char>(address.family);
  info.ifa_prefixlen = static_cast<unsigned char>(address.prefix);
  info.ifa_scope = static_cast<unsigned char>(address.scope);
  info.ifa_index = static_cast<unsigned>(link.index);
  Request request(fmt::format("remove {} from {}", address.text, link.name), RTM_DELADDR, 0);
  request.body(&info, sizeof info).put(IFA_LOCAL, address.bytes.data(), address.bytes.size());
  request.accept(EADDRNOTAVAIL);
  return request;
}

tcmsg ingress_of(const Link& link) {
  tcmsg info{};
  info.tcm_family = AF_UNSPEC;
  info.tcm_ifindex = link.index;
  info.tcm_parent = TC_H_INGRESS;
  return info;
}

Request add_ingress(const Link& link) {
  tcmsg info = ingress_of(link);
  info.tcm_handle = TC_H_MAKE(TC_H_INGRESS, 0);
  Request request(fmt::format("ingress queue of {}", link.name), RTM_NEWQDISC,
                  NLM_F_CREATE | NLM_F_EXCL);
  request.body(&info, sizeof info).put_text(TCA_KIND, "ingress").accept(EEXIST);
  return request;
}

tcmsg filter_of(const Link& link) {
  tcmsg info = ingress_of(link);
  info.tcm_parent = TC_H_MAKE(TC_H_INGRESS, 0);
  info.tcm_info = kFilterInfo | htons(kEthAll);
  return info;
}

void put_mirred(Request& request, int attribute, const Link& to) {
  tc_mirred mirred{};
  mirred.action = TC_ACT_STOLEN;
  mirred.eaction = TCA_EGRESS_REDIR;
  mirred.ifindex = static_cast<std::uint32_t>(to.index);
  request.begin(attribute).begin(1).put_text(TCA_ACT_KIND, "mirred");
  request.begin(TCA_ACT_OPTIONS).put(TCA_MIRRED_PARMS, &mirred, sizeof mirred);
  request.end().end().end();
}

// Everything that arrives at `from` leaves through `to`.
Request add_redirect(const Link& from, const Link& to, Classifier classifier) {
  tcmsg info = filter_of(from);
  bool matchall = classifier == Classifier::kMatchall;
  Request request(fmt::format("redirect {} to {}", from.name, to.name), RTM_NEWTFILTER,
                  NLM_F_CREATE | NLM_F_EXCL);
  request.body(&info, sizeof info).put_text(TCA_KIND, matchall ? "matchall" : "u32");
  request.begin(TCA_OPTIONS);
  if (!matchall) {
    // A selector with one key that masks everything away.
    tc_u32_sel selector{};
    selector.flags = TC_U32_TERMINAL;
    selector.nkeys = 1;
    std::array<char, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> all{};
    std::memcpy(all.data(), &selector, sizeof selector);
    request.put(TCA_U32_SEL, all.data(), all.size());
  }
  put_mirred(request, matchall ? static_cast<int>(TCA_MATCHALL_ACT) : static_cast<int>(TCA_U32_ACT),
             to);
  request.end().accept(EEXIST);
  return request;
}

// Does this kernel know matchall, or has it a module for it? Asking it by a filter would make it
// run modprobe each time, for nothing where there is none.
bool kernel_has_matchall() {
  if (sys::exists("/sys/module/cls_matchall")) return true;
  utsname kernel{};
  if (uname(&kernel) != 0) return false;
  constexpr std::size_t kLimit = std::size_t{16} << 20;
  for (const char* list : {"modules.builtin", "modules.dep"}) {
    auto text = sys::read_file(fmt::format("/lib/modules/{}/{}", kernel.release, list), kLimit);
    if (text && text->find("/cls_matchall.ko") != std::string::npos) return true;
  }
  return false;
}

Classifier& known_classifier() {
  static Classifier classifier = kernel_has_matchall() ? Classifier::kMatchall : Classifier::kU32;
  return classifier;
}

Result<void> add_redirects(Netlink& netlink, const Link& device, const Link& tap) {
  auto add = [&](const Link& from, const Link& to) {
    Requests requests;
    requests.push_back(add_redirect(from, to, known_classifier()));
    return netlink.run(std::move(requests));
  };
  auto added = add(device, tap);
  if (!added && added.error().saved_errno == ENOENT) {
    bool was_matchall = known_classifier() == Classifier::kMatchall;
    known_classifier() = was_matchall ? Classifier::kU32 : Classifier::kMatchall;
    added = add(device, tap);
  }
  if (added) added = add(tap, device);
  if (added) sys::side_effect("redirect packets");
  return added;
}

Request delete_filters(const Link& link) {
  tcmsg info = filter_of(link);
  Request request(fmt::format("stop redirecting {}", link.name), RTM_DELTFILTER, 0);
  request.body(&info, sizeof info).accept(ENOENT).accept(EINVAL);
  return request;
}

// Flags, MTU and length first, so that nothing changes under a running guest.
Requests prepare_links(const Link& device, const Link& tap, const std::vector<Address>& addresses) {
  Requests requests;
  for (const Address& address : addresses) requests.push_back(delete_address(device, address));
  requests.push_back(no_link_local(device));
  requests.push_back(no_link_local(tap));
  Request tune = set_link("queue length of the TAP", tap.index);
  tune.put_u32(IFLA_TXQLEN, kTapQueueLength).accept_all();
  requests.push_back(std::move(tune));
  Request gro = set_link("receive offload of the TAP", tap.index);
  gro.put_u32(IFLA_GRO_MAX_SIZE, kGroMaxSize).accept_all();
  requests.push_back(std::move(gro));
  Request mtu = set_link("MTU of the TAP", tap.index);
  mtu.put_u32(IFLA_MTU, static_cast<std::uint32_t>(device.mtu));
  requests.push_back(std::move(mtu));
  requests.push_back(bring_up(device));
  requests.push_back(bring_up(tap));
  requests.push_back(add_ingress(device));
  requests.push_back(add_ingress(tap));
  requests.push_back(delete_filters(device));  // of a TAP that was there before
  return requests;
}

Result<bool> both_redirected(Netlink& netlink, const Link& device, const Link& tap) {
  int there = COCOON_TRY(netlink.redirects(device.index, tap.index));
  int back = COCOON_TRY(netlink.redirects(tap.index, device.index));
  return there > 0 && back > 0;
}

Result<void> set_mac(Netlink& netlink, const Link& device, const std::string& mac) {
  auto bytes = mac_bytes(mac);
  if (!bytes) return fail(ErrorKind::kInvalid, "\"{}\" is no MAC address", mac);
  Request request = set_link(fmt::format("MAC of {}", device.name), device.index);
  request.put(IFLA_ADDRESS, bytes->data(), bytes->size());
  Requests requests;
  requests.push_back(std::move(request));
  return netlink.run(std::move(requests));
}

}  // namespace

Result<void> make_tap(const std::string& name, int queue_pairs, uid_t owner) {
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) {
    return fail(ErrorKind::kInvalid, "device name \"{}\" is too long", name);
  }
  std::memcpy(request.ifr_name, name.c_str(), name.size());
  // Exclusive: an existing device would be taken over as it is.
  int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL;
  if (queue_pairs > 1) flags |= IFF_MULTI_QUEUE;
  request.ifr_flags = static_cast<short>(flags);
  sys::UniqueFd fd = COCOON_TRY(sys::open_file("/dev/net/tun", O_RDWR), "make TAP {}", name);
  if (ioctl(fd.get(), TUNSETIFF, &request) != 0)
    return fail_errno(fmt::format("make TAP {}", name));
  if (ioctl(fd.get(), TUNSETOWNER, static_cast<unsigned long>(owner)) != 0 ||
      ioctl(fd.get(), TUNSETGROUP, static_cast<unsigned long>(owner)) != 0 ||
      ioctl(fd.get(), TUNSETPERSIST, 1UL) != 0) {
    return fail_errno(fmt::format("set TAP {} up", name));
  }
  sys::side_effect("make TAP");
  return {};
}

Result<void> make_dead_end(const std::string& name, int queue_pairs, uid_t owner) {
  Netlink netlink = COCOON_TRY(Netlink::open());
  COCOON_TRY(delete_device(netlink, name));
  COCOON_TRY(make_tap(name, queue_pairs, owner));
  Link tap = COCOON_TRY(netlink.link(name));
  Requests requests;
  requests.push_back(no_link_local(tap));
  // By the VMM it would take rights that it has not.
  requests.push_back(bring_up(tap));
  return netlink.run(std::move(requests));
}

Result<void> delete_device(Netlink& netlink, const std::string& name) {
  auto link = COCOON_TRY(netlink.find_link(name));
  if (!link) return {};
  ifinfomsg info = link_info(link->index);
  Request request(fmt::format("delete device {}", name), RTM_DELLINK, 0);
  request.body(&info, sizeof info).accept(ENODEV);
  Requests requests;
  requests.push_back(std::move(request));
  return netlink.run(std::move(requests));
}

Result<Wired> connect_wire(const Wire& wire, bool open) {
  Netlink netlink = COCOON_TRY(Netlink::open());
  COCOON_TRY(delete_device(netlink, wire.tap));
  COCOON_TRY(make_tap(wire.tap, wire.queue_pairs, wire.owner));
  Link device = COCOON_TRY(netlink.link(wire.device));
  if (!wire.mac.empty() && wire.mac != device.mac) {
    COCOON_TRY(set_mac(netlink, device, wire.mac));
    device.mac = wire.mac;
  }
  Link tap = COCOON_TRY(netlink.link(wire.tap));
  auto addresses = COCOON_TRY(netlink.addresses(device.index));
  COCOON_TRY(netlink.run(prepare_links(device, tap, addresses)));
  sys::side_effect("connect TAP");
  if (open) COCOON_TRY(add_redirects(netlink, device, tap));
  return Wired{device.mac, device.mtu};
}

Result<void> open_gate(const std::string& device, const std::string& tap) {
  Netlink netlink = COCOON_TRY(Netlink::open());
  Link from = COCOON_TRY(netlink.link(device));
  Link to = COCOON_TRY(netlink.link(tap));
  if (COCOON_TRY(both_redirected(netlink, from, to))) return {};
  return add_redirects(netlink, from, to);
}

Result<void> close_gate(const std::string& device, const std::string& tap) {
  Netlink netlink = COCOON_TRY(Netlink::open());
  Requests requests;
  for (const std::string& name : {device, tap}) {
    Link link = COCOON_TRY(netlink.link(name));
    requests.push_back(delete_filters(link));
  }
  COCOON_TRY(netlink.run(std::move(requests)));
  sys::side_effect("close gate");
  return {};
}

Result<bool> is_connected(const std::string& device, const std::string& tap) {
  Netlink netlink = COCOON_TRY(Netlink::open());
  auto from = COCOON_TRY(netlink.find_link(device));
  auto to = COCOON_TRY(netlink.find_link(tap));
  if (!from || !to || to->kind != "tun") return false;
  return both_redirected(netlink, *from, *to);
}

}  // namespace cocoon::network
