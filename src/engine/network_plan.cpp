// SPDX-License-Identifier: Apache-2.0
// What a request means: NICs without side effects.
#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>

#include "base/id.h"
#include "base/text.h"
#include "engine/vm_network.h"
#include "network/bridge.h"
#include "network/cni/conflist.h"
#include "network/netlink.h"
#include "sys/spawn.h"

namespace cocoon::engine {
namespace {

// More queues than that do not pay for their interrupts.
constexpr int kMaxPairs = 16;
constexpr int kDefaultQueueSize = 512;
constexpr const char* kTunDevice = "/dev/net/tun";
constexpr const char* kPasst = "passt";

// A MAC of our own: locally administered, one station.
Result<std::string> make_mac() {
  std::string hex = COCOON_TRY(random_hex(6));
  constexpr std::string_view kLocal = "26ae";
  hex[1] = kLocal[static_cast<unsigned char>(hex[1]) % kLocal.size()];
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) out += (i == 0 ? "" : ":") + hex.substr(i, 2);
  return out;
}

// The number of NICs, where the request does not say it.
Result<int> default_nics(Ports& ports, const CreateRequest& request,
                         const vmm::Capabilities& able) {
  bool asked = !request.network.empty() || !request.bridge.empty() || !request.ports.empty();
  if (asked) return 1;
  if (able.max_nics == 0) return 0;
  auto networks = network::cni::find_networks(ports.config.cni_conf_dir);
  if (networks && !networks->lists.empty()) return 1;
  ports.note(fmt::format(
      "no network in {}: the VM gets none; `cocoon doctor --fix` sets one up, --network user needs "
      "no set-up",
      ports.config.cni_conf_dir));
  return 0;
}

Result<void> check_backend(const vmm::Capabilities& able, const CreateRequest& request, int nics) {
  if (nics > able.max_nics) {
    return fail(ErrorKind::kUnsupported, "--nics {}: this hypervisor's guests have at most {}",
                nics, able.max_nics);
  }
  if (request.network == kUserNetwork && !able.user_network) {
    return fail(ErrorKind::kUnsupported,
                "--network user: this hypervisor has no user-mode network; use --qemu");
  }
  return {};
}

Result<void> plan_user(const CreateRequest& request, model::Vm& vm, int nics) {
  if (nics > 1) {
    return fail(ErrorKind::kUnsupported, "--nics {}: --network user has one NIC", nics);
  }
  if (!sys::find_program(kPasst)) {
    return fail(ErrorKind::kUnsupported, "--network user needs passt: install the package passt");
  }
  vm.ports = request.ports;
  return {};
}

Result<void> plan_cni(Ports& ports, const CreateRequest& request, model::Vm& vm) {
  std::filesystem::path directory = ports.config.cni_conf_dir;
  auto networks = COCOON_TRY(network::cni::find_networks(directory));
  auto list = COCOON_TRY(network::cni::choose_network(networks, request.network, directory));
  network::cni::Host host = cni_host(ports);
  for (const auto& plugin : list.plugins) {
    std::string type = plugin.at("type");
    if (network::cni::find_plugin(host, type)) continue;
    return fail(ErrorKind::kNotFound,
                "network \"{}\" needs CNI plugin \"{}\", which is in none of {}; the package "
                "containernetworking-plugins has the usual ones",
                list.name, type, fmt::join(host.plugin_dirs, ", "));
  }
  if (!request.ports.empty() && !list.has_capability("portMappings")) {
    return fail(ErrorKind::kUnsupported,
                "--publish: network \"{}\" has no plugin for it (portmap with the capability "
                "portMappings)",
                list.name);
  }
  vm.config.network = list.name;
  vm.ports = request.ports;
  return {};
}

Result<void> plan_bridge(const CreateRequest& request) {
  if (!request.ports.empty()) {
    return fail(ErrorKind::kUnsupported,
                "--publish: the guest's address is the bridge's affair; a CNI network publishes");
  }
  return network::check_bridge(request.bridge);
}

constexpr const char* kSayWhere =
    "--network NAME or --bridge DEVICE says where the clone is to be connected";

// The request for the network that a snapshot's guest was on.
Result<CreateRequest> saved_network(const CreateRequest& request, const model::Nic& nic,
                                    const std::string& network, bool imported) {
  CreateRequest out = request;
  if (nic.backend == model::kUserNic) out.network = kUserNetwork;
  if (nic.backend == model::kCniNic) out.network = network;
  if (nic.backend != model::kBridgeNic) return out;
  if (imported) {
    return fail(ErrorKind::kInvalid,
                "the snapshot was imported, and its guest was on a bridge \"{}\" of the host that "
                "it ran on: {}",
                escape_controls(nic.bridge_dev), kSayWhere);
  }
  out.bridge = nic.bridge_dev;
  return out;
}

// The user-mode stack's network, as its guests see it.
model::NicAddress user_address() { return {"10.0.2.15", "10.0.2.2", 24}; }

}  // namespace

Result<void> check_tun_access() {
  struct stat info {};
  if (stat(kTunDevice, &info) != 0 || !S_ISCHR(info.st_mode)) {
    return fail(ErrorKind::kUnsupported, "{} is missing: load the kernel module tun", kTunDevice);
  }
  if ((info.st_mode & 06) == 06) return {};
  return fail(ErrorKind::kUnsupported,
              "{} has mode {:04o}, but a VMM is not root: chmod 0666 {} (what udev gives it; it "
              "grants no rights over devices of others), or `cocoon doctor --fix`",
              kTunDevice, info.st_mode & 07777U, kTunDevice);
}

Result<void> plan_network(Ports& ports, const CreateRequest& request, const vmm::Capabilities& able,
                          model::Vm& vm) {
  int nics = request.nics ? *request.nics : COCOON_TRY(default_nics(ports, request, able));
  if (nics <= 0) {
    if (request.ports.empty()) return {};
    return fail(ErrorKind::kInvalid, "--publish: the VM has no NIC");
  }
  COCOON_TRY(check_backend(able, request, nics));
  std::string_view kind = model::kCniNic;
  if (!request.bridge.empty()) kind = model::kBridgeNic;
  if (request.network == kUserNetwork) kind = model::kUserNic;
  if (kind == model::kUserNic) COCOON_TRY(plan_user(request, vm, nics));
  if (kind == model::kCniNic) COCOON_TRY(plan_cni(ports, request, vm));
  if (kind == model::kBridgeNic) COCOON_TRY(plan_bridge(request));
  if (kind != model::kUserNic) COCOON_TRY(check_tun_access());
  int pairs = able.multi_queue_nics ? std::clamp(vm.config.cpu, 1, kMaxPairs) : 1;
  for (int i = 0; i < nics; ++i) {
    model::Nic nic;
    nic.backend = kind;
    nic.mac = COCOON_TRY(make_mac());
    nic.num_queues = kind == model::kUserNic ? 2 : 2 * pairs;
    nic.queue_size = vm.config.queue_size == 0 ? kDefaultQueueSize : vm.config.queue_size;
    nic.bridge_dev = request.bridge;
    nic.dns = ports.config.dns;
    if (kind == model::kUserNic) {
      nic.network = user_address();
    } else {
      nic.tap = fmt::format("tap{}", i);
      nic.netns_path = network::netns_path(vm.id).native();
    }
    vm.nics.push_back(std::move(nic));
  }
  return {};
}

Result<void> plan_clone_network(Ports& ports, const CreateRequest& request,
                                const vmm::Capabilities& able, bool imported, model::Vm& vm) {
  std::vector<model::Nic> saved = std::move(vm.nics);
  vm.nics.clear();
  vm.ports.clear();
  if (saved.empty()) return {};
  bool elsewhere = !request.network.empty() || !request.bridge.empty();
  CreateRequest same = request;
  if (!elsewhere)
    same = COCOON_TRY(saved_network(request, saved.front(), vm.config.network, imported));
  same.nics = static_cast<int>(saved.size());
  vm.config.network.clear();
  auto planned = plan_network(ports, same, able, vm);
  if (!planned && imported && !elsewhere && planned.error().kind == ErrorKind::kNotFound) {
    planned.error().cause += fmt::format("; {}", kSayWhere);
  }
  COCOON_TRY(std::move(planned));
  for (std::size_t i = 0; i < saved.size(); ++i) {
    if ((vm.nics[i].backend == model::kUserNic) != (saved[i].backend == model::kUserNic)) {
      return fail(ErrorKind::kUnsupported,
                  "a guest with --network user cannot go on in another network, nor the other way "
                  "round: its NIC would be another device");
    }
    vm.nics[i].num_queues = saved[i].num_queues;  // part of the device
    vm.nics[i].queue_size = saved[i].queue_size;
  }
  return {};
}

}  // namespace cocoon::engine
