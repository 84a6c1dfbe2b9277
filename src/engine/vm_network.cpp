// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_network.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "engine/uids.h"
#include "network/bridge.h"
#include "network/cni/runtime.h"
#include "network/data_path.h"
#include "network/netlink.h"
#include "sys/cancel.h"
#include "sys/fault.h"

namespace cocoon::engine {
namespace {

namespace cni = network::cni;
using nlohmann::json;

std::string device_name(std::size_t index) { return fmt::format("eth{}", index); }

bool has_namespace(const model::Vm& vm) {
  return !vm.nics.empty() && vm.nics.front().backend != model::kUserNic;
}

// The record's path is where we would make it, and nowhere else.
Result<void> check_place(const model::Vm& vm) {
  for (const model::Nic& nic : vm.nics) {
    if (nic.backend == model::kUserNic || nic.netns_path == network::netns_path(vm.id)) continue;
    return fail(ErrorKind::kCorrupt, "namespace \"{}\" is not this VM's", nic.netns_path);
  }
  return {};
}

// The list as it was when the VM was attached first, else as it is now.
Result<cni::Conflist> find_conflist(const Ports& ports, const cni::Host& host,
                                    const model::Vm& vm) {
  for (const cni::Cached& cached : COCOON_TRY(cni::list_cache(host, vm.id))) {
    auto list = cni::parse_conflist(cached.config);
    if (list && list->name == vm.config.network) return std::move(*list);
  }
  auto networks = COCOON_TRY(cni::find_networks(ports.config.cni_conf_dir));
  return cni::choose_network(networks, vm.config.network, ports.config.cni_conf_dir);
}

json port_mappings(const std::vector<model::PortMapping>& ports) {
  json out = json::array();
  for (const model::PortMapping& port : ports) {
    json one = {{"hostPort", port.host_port},
                {"containerPort", port.guest_port},
                {"protocol", port.protocol}};
    if (!port.host_ip.empty()) one["hostIP"] = port.host_ip;
    out.push_back(std::move(one));
  }
  return out;
}

// What the plugins are told about NIC `index`; `again` asks for what it had before.
cni::Attachment attachment_of(const model::Vm& vm, std::size_t index, const cni::Conflist& list,
                              bool again) {
  const model::Nic& nic = vm.nics[index];
  cni::Attachment out;
  out.container = vm.id;
  out.netns = nic.netns_path;
  out.if_name = device_name(index);
  if (index == 0 && !vm.ports.empty()) {
    out.capability_args["portMappings"] = port_mappings(vm.ports);
  }
  if (!again) return out;
  out.args = {{"IgnoreUnknown", "1"}, {"MAC", nic.mac}};
  if (list.has_capability("mac")) out.capability_args["mac"] = nic.mac;
  if (!nic.network) return out;
  out.args.emplace_back("IP", nic.network->ip);
  if (list.has_capability("ips")) {
    out.capability_args["ips"] = {fmt::format("{}/{}", nic.network->ip, nic.network->prefix)};
  }
  return out;
}

Result<void> connect_nic(const model::Vm& vm, std::size_t index, bool keep_mac, bool open,
                         network::Wired& wired) {
  const model::Nic& nic = vm.nics[index];
  network::Wire wire{device_name(index), nic.tap, nic.queue_pairs(), vm.uid,
                     keep_mac ? nic.mac : ""};
  return network::in_netns(nic.netns_path, [&]() -> Result<void> {
    wired = COCOON_TRY(network::connect_wire(wire, open));
    return {};
  });
}

// A rebuilt NIC must be what the guest was told it is.
Result<void> check_same(const model::Nic& nic, const cni::AddResult& result) {
  if (!nic.network || result.address == nic.network) return {};
  std::string now = "none";
  if (result.address) now = fmt::format("{}/{}", result.address->ip, result.address->prefix);
  return fail(ErrorKind::kConflict,
              "the network gives it {} now, but its guest has {}/{}; free that address or make a "
              "new VM",
              now, nic.network->ip, nic.network->prefix);
}

// What is on record of this interface, if anything.
Result<std::optional<cni::Cached>> find_recorded(const cni::Host& host,
                                                 const cni::Attachment& attachment) {
  for (cni::Cached& cached : COCOON_TRY(cni::list_cache(host, attachment.container))) {
    if (cached.attachment.if_name == attachment.if_name) return std::optional(std::move(cached));
  }
  return std::optional<cni::Cached>();
}

// ADD, and once more, with the first taken back, when a plugin says no: two that come first on a
// host break one another while both make what all share (portmap 1.1 its chains of NAT rules), and
// nothing in their words tells that from a lasting failure.
Result<cni::AddResult> add(const cni::Host& host, const cni::Conflist& list,
                           const cni::Attachment& attachment) {
  auto first = cni::add_attachment(host, list, attachment);
  if (first || first.error().kind != ErrorKind::kSystem) return first;
  auto begun = find_recorded(host, attachment);
  if (!begun || !*begun || !cni::delete_attachment(host, **begun)) return first;
  return cni::add_attachment(host, list, attachment);
}

Result<void> attach_nic(const Ports& ports, const cni::Host& host, model::Vm& vm, std::size_t index,
                        bool again, bool open) {
  model::Nic& nic = vm.nics[index];
  if (nic.backend == model::kBridgeNic) {
    auto owner = COCOON_TRY(network_owner(ports, vm.id));
    COCOON_TRY(
        network::add_port(owner, nic.bridge_dev, static_cast<int>(index), nic.mac, nic.netns_path));
    network::Wired wired;
    COCOON_TRY(connect_nic(vm, index, true, open, wired));
    nic.mtu = wired.mtu;
    nic.dns.clear();  // DHCP says
    return {};
  }
  auto list = COCOON_TRY(find_conflist(ports, host, vm));
  auto result = COCOON_TRY(add(host, list, attachment_of(vm, index, list, again)));
  if (again) COCOON_TRY(check_same(nic, result));
  network::Wired wired;
  COCOON_TRY(connect_nic(vm, index, again, open, wired));
  nic.mac = wired.mac;
  nic.mtu = wired.mtu;
  if (!again || !nic.network) nic.network = result.address;
  nic.routes = result.routes;
  if (!result.dns.empty()) nic.dns = result.dns;
  return {};
}

// Before DEL: the device with the addresses that the network gave it. Plugins look there for what
// they have to undo (NAT rules), but we had taken the addresses off it (spec 05 n8); and a
// namespace that somebody removed is put back, empty but for a stand-in, for the same reason.
Result<void> prepare_delete(const network::Owner& owner, const cni::Cached& cached) {
  COCOON_TRY(network::make_netns(owner));
  std::vector<std::string> addresses;
  if (auto result = cni::read_result(cached.result)) addresses = result->addresses;
  return network::in_netns(network::netns_path(owner.vm_id), [&]() -> Result<void> {
    auto netlink = COCOON_TRY(network::Netlink::open());
    const std::string& device = cached.attachment.if_name;
    if (!COCOON_TRY(netlink.find_link(device))) COCOON_TRY(network::make_tap(device, 1, 0));
    network::Link link = COCOON_TRY(netlink.link(device));
    std::vector<network::Request> requests;
    for (const std::string& text : addresses) {
      if (auto address = network::parse_address(text)) {
        requests.push_back(network::add_address(link, *address));
      }
    }
    return netlink.run(std::move(requests));
  });
}

Result<void> detach(const network::Owner& owner, const cni::Host& host, const cni::Cached& cached) {
  ignore(prepare_delete(owner, cached), "DEL has to work without, too");
  return cni::delete_attachment(host, cached);
}

// Once more, after the VM's other attachments: plugins share things between the interfaces of one
// container (the bridge plugin its NAT chain), and stumble when those are in use or gone already.
// With a bare interface they do not look for them any more.
Result<void> detach_again(const network::Owner& owner, const cni::Host& host,
                          const cni::Cached& cached) {
  if (detach(owner, host, cached)) return {};
  auto deleted = cni::delete_attachment(host, cached);
  if (!deleted) ignore(cni::count_failed_delete(host, cached), "the count is for gc only");
  return deleted;
}

// The number in "eth3"; nullopt for other names.
std::optional<std::size_t> device_index(const std::string& name) {
  if (!name.starts_with("eth")) return std::nullopt;
  auto number = parse_decimal(name.substr(3));
  return number ? std::optional<std::size_t>(*number) : std::nullopt;
}

// Is this attachment's NIC none of the first `keep` ones?
bool is_beyond(const cni::Cached& cached, std::size_t keep) {
  return device_index(cached.attachment.if_name).value_or(keep) >= keep;
}

// DEL of the attachments from NIC `keep` on, the last one first.
Result<void> detach_from(const Ports& ports, const model::Vm& vm, std::size_t keep) {
  cni::Host host = cni_host(ports);
  auto owner = COCOON_TRY(network_owner(ports, vm.id));
  auto all = COCOON_TRY(cni::list_cache(host, vm.id));
  std::vector<cni::Cached> failed;
  for (auto cached = all.rbegin(); cached != all.rend(); ++cached) {
    if (!is_beyond(*cached, keep)) continue;
    if (!detach(owner, host, *cached)) failed.push_back(std::move(*cached));
  }
  Result<void> outcome;
  for (const cni::Cached& cached : failed) {
    auto gone = detach_again(owner, host, cached);
    if (!gone && outcome) {
      outcome = pass(std::move(gone).error(), fmt::format("detach {}", cached.attachment.if_name));
    }
  }
  return outcome;
}

Result<void> remove_ports(const Ports& ports, const model::Vm& vm, std::size_t keep) {
  auto owner = COCOON_TRY(network_owner(ports, vm.id));
  Result<void> outcome;
  for (std::size_t index = keep; index < static_cast<std::size_t>(model::kMaxNics); ++index) {
    auto gone = network::remove_port(owner, static_cast<int>(index));
    if (!gone && outcome) outcome = std::move(gone);
  }
  return outcome;
}

// The devices in the namespace that belong to NICs from `keep` on.
Result<void> remove_devices(const model::Vm& vm, std::size_t keep) {
  if (!network::is_netns(network::netns_path(vm.id))) return {};
  return network::in_netns(network::netns_path(vm.id), [&]() -> Result<void> {
    auto netlink = COCOON_TRY(network::Netlink::open());
    for (std::size_t i = keep; i < static_cast<std::size_t>(model::kMaxNics); ++i) {
      COCOON_TRY(network::delete_device(netlink, fmt::format("tap{}", i)));
      COCOON_TRY(network::delete_device(netlink, device_name(i)));
    }
    return {};
  });
}

// The state of one NIC's part in the namespace.
enum class Part { kGone, kUnconnected, kWhole };

Result<Part> look_at(const model::Nic& nic, std::size_t index) {
  Part part = Part::kGone;
  auto looked = network::in_netns(nic.netns_path, [&]() -> Result<void> {
    auto netlink = COCOON_TRY(network::Netlink::open());
    auto device = COCOON_TRY(netlink.find_link(device_name(index)));
    // A TAP by that name is the stand-in of a DEL.
    if (!device || device->kind == "tun") return {};
    bool whole = COCOON_TRY(network::is_connected(device_name(index), nic.tap));
    part = whole && device->mac == nic.mac ? Part::kWhole : Part::kUnconnected;
    return {};
  });
  if (!looked) return pass(std::move(looked).error());
  return part;
}

Result<void> rebuild(Ports& ports, model::Vm& vm, int lock_fd) {
  log_info("rebuilding the network of vm {}", vm.id);
  cni::Host host = cni_host(ports, lock_fd);
  auto owner = COCOON_TRY(network_owner(ports, vm.id));
  std::optional<cni::Conflist> list;
  // DEL drops the record of how the VM was attached, so it is read before.
  if (vm.nics.front().backend == model::kCniNic) {
    list = COCOON_TRY(find_conflist(ports, host, vm));
  }
  auto detached = detach_from(ports, vm, 0);
  if (!detached) log_warn("ignoring {}", detached.error().to_string());
  COCOON_TRY(network::remove_netns(owner));
  COCOON_TRY(network::make_netns(owner));
  for (std::size_t index = 0; index < vm.nics.size(); ++index) {
    if (list) {
      // Kept for attach_nic, which looks for it there first.
      COCOON_TRY(cni::write_cache(
          host, {attachment_of(vm, index, *list, true), list->name, list->bytes, nullptr, 0}));
    }
    COCOON_TRY(attach_nic(ports, host, vm, index, true, true), "NIC {}", index);
  }
  return {};
}

}  // namespace

cni::Host cni_host(const Ports& ports, int lock_fd) {
  cni::Host host;
  host.conf_dir = ports.config.cni_conf_dir;
  host.plugin_dirs = cni::plugin_dirs(ports.config.cni_bin_dir);
  host.cache_dir = ports.paths.root() / "cni" / "cache" / "results";
  host.limit = std::chrono::seconds(ports.config.cni_timeout_seconds);
  host.lock_fd = lock_fd;
  return host;
}

Result<network::Owner> network_owner(const Ports& ports, const std::string& vm_id) {
  return network::Owner{COCOON_TRY(install_id(ports.db)), vm_id};
}

Result<void> make_network(Ports& ports, model::Vm& vm, std::size_t first, int lock_fd, bool open) {
  if (!has_namespace(vm)) return {};
  COCOON_TRY(check_place(vm));
  auto owner = COCOON_TRY(network_owner(ports, vm.id));
  cni::Host host = cni_host(ports, lock_fd);
  COCOON_TRY(network::make_netns(owner));
  for (std::size_t index = first; index < vm.nics.size(); ++index) {
    COCOON_TRY(sys::check_cancelled());
    COCOON_TRY(attach_nic(ports, host, vm, index, false, open), "NIC {}", index);
  }
  return {};
}

Result<void> open_network(const model::Vm& vm) {
  if (!has_namespace(vm)) return {};
  COCOON_TRY(check_place(vm));
  return network::in_netns(network::netns_path(vm.id), [&]() -> Result<void> {
    for (std::size_t i = 0; i < vm.nics.size(); ++i) {
      COCOON_TRY(network::open_gate(device_name(i), vm.nics[i].tap));
    }
    return {};
  });
}

Result<void> close_network(const model::Vm& vm) {
  if (!has_namespace(vm)) return {};
  COCOON_TRY(check_place(vm));
  return network::in_netns(network::netns_path(vm.id), [&]() -> Result<void> {
    for (std::size_t i = 0; i < vm.nics.size(); ++i) {
      COCOON_TRY(network::close_gate(device_name(i), vm.nics[i].tap));
    }
    return {};
  });
}

Result<void> make_stand_ins(const model::Vm& vm, const std::vector<vmm::StandIn>& stand_ins) {
  if (stand_ins.empty()) return {};
  COCOON_TRY(check_place(vm));
  return network::in_netns(network::netns_path(vm.id), [&]() -> Result<void> {
    for (const vmm::StandIn& stand_in : stand_ins) {
      COCOON_TRY(network::make_dead_end(stand_in.tap, stand_in.queue_pairs, vm.uid));
    }
    return {};
  });
}

Result<void> remove_stand_ins(const model::Vm& vm) {
  if (!network::is_netns(network::netns_path(vm.id))) return {};
  return network::in_netns(network::netns_path(vm.id), [&]() -> Result<void> {
    auto netlink = COCOON_TRY(network::Netlink::open());
    for (std::size_t index = 0; index < static_cast<std::size_t>(model::kMaxNics); ++index) {
      COCOON_TRY(network::delete_device(netlink, vmm::stand_in_name(index)));
    }
    sys::side_effect("remove stand-in TAPs");
    return {};
  });
}

Result<bool> restore_network(Ports& ports, model::Vm& vm, int lock_fd) {
  if (!has_namespace(vm)) return false;
  COCOON_TRY(check_place(vm));
  COCOON_TRY(check_tun_access());
  bool gone = !network::is_netns(network::netns_path(vm.id));
  for (std::size_t i = 0; i < vm.nics.size() && !gone; ++i) {
    Part part = COCOON_TRY(look_at(vm.nics[i], i), "look at NIC {}", i);
    gone = part == Part::kGone;
    network::Wired wired;
    if (part == Part::kUnconnected) {
      COCOON_TRY(connect_nic(vm, i, true, true, wired), "connect NIC {}", i);
    }
  }
  if (!gone) return false;
  auto rebuilt = rebuild(ports, vm, lock_fd);
  if (rebuilt) return true;
  sys::CancelShield shield;
  ignore(remove_network(ports, vm), "gc tries again");
  return pass(std::move(rebuilt).error(), "rebuild the network");
}

Result<void> remove_network(const Ports& ports, const model::Vm& vm) {
  auto detached = detach_from(ports, vm, 0);
  auto removed = remove_ports(ports, vm, 0);
  auto owner = COCOON_TRY(network_owner(ports, vm.id));
  COCOON_TRY(network::remove_netns(owner));
  COCOON_TRY(cni::remove_unfinished(cni_host(ports), vm.id));
  if (!detached) return detached;
  return removed;
}

bool is_lost_nic(const model::Vm& vm, const cni::Cached& cached) {
  return cached.attachment.container == vm.id && is_beyond(cached, vm.nics.size());
}

Result<void> give_up_network(const Ports& ports, const model::Vm& vm, std::size_t keep) {
  constexpr int kPatience = 3;
  auto removed = trim_network(ports, vm, keep);
  if (removed) return {};
  cni::Host host = cni_host(ports);
  bool all_given_up = true;
  for (const cni::Cached& cached : COCOON_TRY(cni::list_cache(host, vm.id))) {
    if (!is_beyond(cached, keep)) continue;
    if (cached.failed_deletes < kPatience) {
      all_given_up = false;
      continue;
    }
    log_warn("giving up on {} of vm {} on network {}: what its plugins hold stays",
             cached.attachment.if_name, vm.id, cached.network);
    COCOON_TRY(cni::remove_cache(host, cached));
  }
  if (all_given_up) return {};
  return removed;
}

Result<void> trim_network(const Ports& ports, const model::Vm& vm, std::size_t keep) {
  if (keep == 0) return remove_network(ports, vm);
  auto detached = detach_from(ports, vm, keep);
  auto unplugged = remove_ports(ports, vm, keep);
  auto removed = remove_devices(vm, keep);
  if (!detached) return detached;
  return unplugged ? removed : unplugged;
}

}  // namespace cocoon::engine
