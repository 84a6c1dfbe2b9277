// SPDX-License-Identifier: Apache-2.0
#include "network/bridge.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include "base/id.h"
#include "network/data_path.h"
#include "network/netlink.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::network {
namespace {

std::string mark_of(const Owner& owner) {
  return fmt::format("cocoon:{}:{}", owner.install_id, owner.vm_id);
}

Result<Link> find_bridge(Netlink& netlink, const std::string& name) {
  auto link = COCOON_TRY(netlink.find_link(name));
  if (!link) return fail(ErrorKind::kNotFound, "bridge {} not found", name);
  if (link->kind != "bridge") {
    return fail(ErrorKind::kInvalid, "device {} is no bridge", name);
  }
  return std::move(*link);
}

// One message makes both ends, each in its place: a killed command leaves all or nothing.
Request make_pair(const std::string& port, const Link& bridge, const std::string& device,
                  const std::string& mac, int netns) {
  ifinfomsg info{};
  auto mtu = static_cast<std::uint32_t>(bridge.mtu);
  Request request(fmt::format("make port {} of {}", port, bridge.name), RTM_NEWLINK,
                  NLM_F_CREATE | NLM_F_EXCL);
  request.body(&info, sizeof info).put_text(IFLA_IFNAME, port).put_u32(IFLA_MTU, mtu);
  request.begin(IFLA_LINKINFO).put_text(IFLA_INFO_KIND, "veth");
  request.begin(IFLA_INFO_DATA).begin(VETH_INFO_PEER).body(&info, sizeof info);
  request.put_text(IFLA_IFNAME, device).put_u32(IFLA_MTU, mtu);
  if (auto bytes = mac_bytes(mac)) request.put(IFLA_ADDRESS, bytes->data(), bytes->size());
  request.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns));
  request.end().end().end();
  return request;
}

Result<void> delete_marked(Netlink& netlink, const Owner& owner, const std::string& port) {
  auto link = COCOON_TRY(netlink.find_link(port));
  if (!link) return {};
  // Between the pair and its mark lies one message; a pair without a mark but with our full name
  // and kind is what a killed command left there.
  bool ours = link->alias == mark_of(owner) || (link->alias.empty() && link->kind == "veth");
  if (!ours) return fail(ErrorKind::kConflict, "device {} belongs to \"{}\"", port, link->alias);
  return delete_device(netlink, port);
}

Request join_bridge(const Link& port, const Link& bridge, const std::string& mark) {
  ifinfomsg info{};
  info.ifi_index = port.index;
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  Request request(fmt::format("attach {} to {}", port.name, bridge.name), RTM_NEWLINK, 0);
  request.body(&info, sizeof info).put_text(IFLA_IFALIAS, mark);
  request.put_u32(IFLA_MASTER, static_cast<std::uint32_t>(bridge.index));
  request.begin(IFLA_AF_SPEC).begin(AF_INET6);
  request.put_u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  request.end().end();
  return request;
}

}  // namespace

std::string port_name(std::string_view vm_id, int index) {
  return fmt::format("cb{}-{}", vm_id.substr(0, 8), index);
}

Result<void> check_bridge(const std::string& bridge) {
  Netlink netlink = COCOON_TRY(Netlink::open());
  COCOON_TRY(find_bridge(netlink, bridge));
  return {};
}

Result<void> add_port(const Owner& owner, const std::string& bridge, int index,
                      const std::string& mac, const std::filesystem::path& netns) {
  Netlink netlink = COCOON_TRY(Netlink::open());
  Link at = COCOON_TRY(find_bridge(netlink, bridge));
  std::string port = port_name(owner.vm_id, index);
  COCOON_TRY(delete_marked(netlink, owner, port));
  sys::UniqueFd fd = COCOON_TRY(sys::open_file(netns, O_RDONLY));
  std::vector<Request> pair;
  pair.push_back(make_pair(port, at, fmt::format("eth{}", index), mac, fd.get()));
  COCOON_TRY(netlink.run(std::move(pair)));
  sys::side_effect("make bridge port");
  Link made = COCOON_TRY(netlink.link(port));
  std::vector<Request> join;
  join.push_back(join_bridge(made, at, mark_of(owner)));
  COCOON_TRY(netlink.run(std::move(join)));
  sys::side_effect("attach bridge port");
  return {};
}

Result<std::vector<std::string>> port_owners(const std::string& install_id) {
  Netlink netlink = COCOON_TRY(Netlink::open());
  std::string prefix = mark_of({install_id, ""});
  std::vector<std::string> ids;
  for (const Link& link : COCOON_TRY(netlink.links())) {
    if (link.kind != "veth" || !link.alias.starts_with(prefix)) continue;
    std::string id = link.alias.substr(prefix.size());
    if (is_id(id)) ids.push_back(std::move(id));
  }
  return ids;
}

Result<void> remove_port(const Owner& owner, int index) {
  Netlink netlink = COCOON_TRY(Netlink::open());
  std::string port = port_name(owner.vm_id, index);
  auto link = COCOON_TRY(netlink.find_link(port));
  if (!link || link->kind != "veth") return {};
  if (link->alias != mark_of(owner) && !link->alias.empty()) return {};
  COCOON_TRY(delete_device(netlink, port));
  sys::side_effect("remove bridge port");
  return {};
}

}  // namespace cocoon::network
