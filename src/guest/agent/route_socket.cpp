// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/route_socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace cocoon::guest {
namespace {

constexpr std::size_t kHeader = NLMSG_HDRLEN;

std::size_t aligned(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

void append(std::string& message, const void* bytes, std::size_t size) {
  message.append(static_cast<const char*>(bytes), size);
  message.resize(aligned(message.size()), '\0');
}

template <class Body>
std::string begin(int type, int flags, const Body& body) {
  nlmsghdr header{};
  header.nlmsg_type = static_cast<__u16>(type);
  header.nlmsg_flags = static_cast<__u16>(NLM_F_REQUEST | NLM_F_ACK | flags);
  std::string message;
  append(message, &header, sizeof header);
  append(message, &body, sizeof body);
  return message;
}

void add_attribute(std::string& message, int type, const void* bytes, std::size_t size) {
  rtattr attribute{};
  attribute.rta_type = static_cast<unsigned short>(type);
  attribute.rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
  append(message, &attribute, sizeof attribute);
  append(message, bytes, size);
}

std::optional<IpPrefix> parse_address(const std::string& text) {
  IpPrefix prefix;
  prefix.bytes.resize(sizeof(in6_addr));
  if (::inet_pton(AF_INET, text.c_str(), prefix.bytes.data()) == 1) {
    prefix.family = AF_INET;
    prefix.bytes.resize(sizeof(in_addr));
  } else if (::inet_pton(AF_INET6, text.c_str(), prefix.bytes.data()) == 1) {
    prefix.family = AF_INET6;
  } else {
    return std::nullopt;
  }
  prefix.length = static_cast<unsigned>(prefix.bytes.size() * 8);
  return prefix;
}

/// The addresses that an interface has now.
std::vector<IpPrefix> current_addresses(unsigned index) {
  std::vector<IpPrefix> found;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return found;
  for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_netmask == nullptr ||
        ::if_nametoindex(at->ifa_name) != index)
      continue;
    const int family = at->ifa_addr->sa_family;
    const bool six = family == AF_INET6;
    if (!six && family != AF_INET) continue;
    const std::size_t offset =
        six ? offsetof(sockaddr_in6, sin6_addr) : offsetof(sockaddr_in, sin_addr);
    const std::size_t size = six ? sizeof(in6_addr) : sizeof(in_addr);
    const auto* address = reinterpret_cast<const unsigned char*>(at->ifa_addr) + offset;
    const auto* mask = reinterpret_cast<const unsigned char*>(at->ifa_netmask) + offset;
    if (six && address[0] == 0xfe && (address[1] & 0xc0) == 0x80) continue;
    IpPrefix prefix{.family = family, .bytes = {address, address + size}, .length = 0};
    for (std::size_t i = 0; i < size; ++i)
      prefix.length += static_cast<unsigned>(__builtin_popcount(mask[i]));
    found.push_back(std::move(prefix));
  }
  ::freeifaddrs(all);
  return found;
}

bool same(const IpPrefix& a, const IpPrefix& b) {
  return a.family == b.family && a.length == b.length && a.bytes == b.bytes;
}

bool contains(const std::vector<IpPrefix>& all, const IpPrefix& one) {
  return std::any_of(all.begin(), all.end(),
                     [&](const IpPrefix& other) { return same(one, other); });
}

}  // namespace

std::optional<IpPrefix> parse_prefix(const std::string& text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  auto prefix = parse_address(text.substr(0, slash));
  if (!prefix || slash == text.size()) return prefix;
  const char* begin_at = text.data() + slash + 1;
  unsigned length = 0;
  const auto [end, error] = std::from_chars(begin_at, text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size() || length > prefix->length)
    return std::nullopt;
  prefix->length = length;
  return prefix;
}

Result<RouteSocket> RouteSocket::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return fail_errno("netlink");
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return RouteSocket(std::move(fd));
}

Result<void> RouteSocket::ask(const std::string& message, const std::string& what) {
  std::string sized = message;
  const auto length = static_cast<__u32>(sized.size());
  std::memcpy(sized.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
  if (::send(fd_.get(), sized.data(), sized.size(), 0) < 0) return fail_errno(what, "netlink");
  std::array<char, 4096> answer{};
  const ssize_t got = ::recv(fd_.get(), answer.data(), answer.size(), 0);
  if (got < static_cast<ssize_t>(kHeader + sizeof(int))) return fail_errno(what, "netlink");
  int error = 0;  // nlmsgerr begins with it
  std::memcpy(&error, answer.data() + kHeader, sizeof error);
  if (error != 0) return fail(what, errno_text(-error));
  return {};
}

Result<void> RouteSocket::change_address(unsigned index, const IpPrefix& address, bool add) {
  ifaddrmsg body{};
  body.ifa_family = static_cast<__u8>(address.family);
  body.ifa_prefixlen = static_cast<__u8>(address.length);
  body.ifa_index = index;
  std::string message =
      begin(add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, body);
  add_attribute(message, IFA_LOCAL, address.bytes.data(), address.bytes.size());
  add_attribute(message, IFA_ADDRESS, address.bytes.data(), address.bytes.size());
  return ask(message, add ? "add address" : "remove address");
}

Result<void> RouteSocket::replace_addresses(unsigned index,
                                            const std::vector<std::string>& addresses) {
  std::vector<IpPrefix> wanted;
  for (const std::string& text : addresses) {
    const auto prefix = parse_prefix(text);
    if (!prefix) return fail("address \"" + text + "\"", "not usable");
    wanted.push_back(*prefix);
  }
  const std::vector<IpPrefix> present = current_addresses(index);
  for (const IpPrefix& address : present)
    if (!contains(wanted, address)) COCOON_GUEST_TRY(change_address(index, address, false));
  for (const IpPrefix& address : wanted)
    if (!contains(present, address)) COCOON_GUEST_TRY(change_address(index, address, true));
  return {};
}

Result<void> RouteSocket::replace_route(unsigned index, const std::string& to,
                                        const std::string& via) {
  const auto gateway = via.empty() ? std::nullopt : parse_prefix(via);
  const auto target = to == "default" ? std::nullopt : parse_prefix(to);
  if ((!via.empty() && !gateway) || (to != "default" && !target) || (!gateway && !target))
    return fail("route \"" + to + "\"", "not usable");
  rtmsg body{};
  body.rtm_family = static_cast<unsigned char>(gateway ? gateway->family : target->family);
  body.rtm_dst_len = static_cast<unsigned char>(target ? target->length : 0);
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  body.rtm_type = RTN_UNICAST;
  std::string message = begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body);
  if (target) add_attribute(message, RTA_DST, target->bytes.data(), target->bytes.size());
  if (gateway) add_attribute(message, RTA_GATEWAY, gateway->bytes.data(), gateway->bytes.size());
  add_attribute(message, RTA_OIF, &index, sizeof index);
  return ask(message, "route to " + to);
}

}  // namespace cocoon::guest
