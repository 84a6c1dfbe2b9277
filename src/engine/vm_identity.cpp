// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_identity.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "base/id.h"
#include "base/text.h"
#include "engine/agent_access.h"
#include "engine/vm_reseed.h"

namespace cocoon::engine {
namespace {

constexpr Milliseconds kKnownLimit{60'000};
constexpr Milliseconds kGuessLimit{5'000};
// A kernel that knows vsock says at once whether somebody listens; others are silent.
constexpr Milliseconds kLookLimit{2'000};
constexpr std::size_t kMachineIdBytes = 16;

agent_wire::IdentityNic identity_nic(const model::Nic& nic, const model::Nic* before,
                                     std::size_t index) {
  agent_wire::IdentityNic out;
  out.index = static_cast<std::int64_t>(index);
  if (before != nullptr) out.find_mac = before->mac;
  out.mac = nic.mac;
  out.mtu = nic.mtu;
  if (!nic.network) {
    // DHCP's business; but a clone must not go on with the lease of its source.
    out.set_addresses = out.renew_dhcp = before != nullptr && before->mac != nic.mac;
    return out;
  }
  out.set_addresses = true;
  out.addresses = {fmt::format("{}/{}", nic.network->ip, nic.network->prefix)};
  if (!nic.network->gateway.empty()) out.routes.push_back({"default", nic.network->gateway});
  for (const model::NicRoute& route : nic.routes) {
    out.routes.push_back({route.destination, route.gateway});
  }
  return out;
}

Result<void> check_report(const IdentityReport& report) {
  if (report.failed.empty()) return {};
  return fail(ErrorKind::kVmm, "the guest could not take all of its identity: {}",
              fmt::join(report.failed, "; "));
}

}  // namespace

agent_wire::Identity identity_of(const model::Vm& vm, const model::Vm& before,
                                 const std::vector<std::string>& dns) {
  agent_wire::Identity identity;
  identity.hostname = vm.config.name;
  for (std::size_t i = 0; i < vm.nics.size(); ++i) {
    const model::Nic* old = i < before.nics.size() ? &before.nics[i] : nullptr;
    identity.nics.push_back(identity_nic(vm.nics[i], old, i));
    for (const std::string& server : vm.nics[i].dns) {
      bool known =
          std::find(identity.dns.begin(), identity.dns.end(), server) != identity.dns.end();
      if (!known) identity.dns.push_back(server);
    }
  }
  if (!vm.nics.empty() && identity.dns.empty()) identity.dns = dns;
  return identity;
}

bool has_agent(const model::Vm& vm) { return vm.boot.boot_kit; }

Result<std::optional<bool>> find_agent(Ports& ports, const model::Vm& vm) {
  auto answer = ask_agent(ports, vm, agent_wire::render_identity({}), kLookLimit, kGuessLimit,
                          /*once=*/true);
  if (answer) return std::optional<bool>(true);
  ErrorKind kind = answer.error().kind;
  if (kind == ErrorKind::kInterrupted) return pass(std::move(answer).error());
  // Nobody listens, nothing in the guest knows vsock, or an agent that knows no identities. Were it
  // wrong, by a guest that stood still for so long, the agent is found after the load.
  bool none = kind == ErrorKind::kNotFound || kind == ErrorKind::kTimeout ||
              kind == ErrorKind::kUnsupported;
  return none ? std::optional<bool>(false) : std::nullopt;
}

bool is_mute(const model::Snapshot& snapshot) {
  return !has_agent(snapshot.vm) && snapshot.agent && !*snapshot.agent;
}

Result<bool> tell_identity(Ports& ports, const model::Vm& vm, const model::Vm& before,
                           bool new_machine_id, bool mute) {
  agent_wire::Identity identity = identity_of(vm, before, ports.config.dns);
  if (new_machine_id) identity.machine_id = COCOON_TRY(random_hex(kMachineIdBytes));
  agent_wire::Identity fresh = COCOON_TRY(fresh_identity());
  identity.entropy = std::move(fresh.entropy);
  identity.time_ns = fresh.time_ns;
  Milliseconds limit = mute ? kLookLimit : kGuessLimit;
  auto report = apply_identity(ports, vm, identity, has_agent(vm) ? kKnownLimit : limit, mute);
  bool nobody = !report && (report.error().kind == ErrorKind::kTimeout ||
                            report.error().kind == ErrorKind::kNotFound ||
                            report.error().kind == ErrorKind::kUnsupported);
  if (nobody && !has_agent(vm)) return false;
  if (!report) return pass(std::move(report).error());
  COCOON_TRY(check_report(*report));
  return true;
}

std::string identity_hints(const model::Vm& vm, bool swapped) {
  std::string out = "  echo 3 > /proc/sys/vm/drop_caches\n";
  for (std::size_t i = 0; i < vm.nics.size() && !swapped; ++i) {
    out += fmt::format(
        "  ip link set dev eth{0} down\n  ip link set dev eth{0} address {1}\n"
        "  ip link set dev eth{0} up\n",
        i, vm.nics[i].mac);
  }
  out += "  rm -f /etc/systemd/network/10-*.network\n";
  if (vm.config.image_type == "cloudimg") {
    return out +
           "  cloud-init clean --logs --seed --configs network && cloud-init init --local && "
           "cloud-init init\n"
           "  cloud-init modules --mode=config && systemctl restart systemd-networkd\n";
  }
  out += fmt::format("  hostnamectl set-hostname {}\n", vm.config.name);
  for (const model::Nic& nic : vm.nics) {
    std::string bare = nic.mac;
    bare.erase(std::remove(bare.begin(), bare.end(), ':'), bare.end());
    std::string text = fmt::format("[Match]\\nMACAddress={}\\n\\n[Network]\\n", nic.mac);
    text += nic.network ? fmt::format("Address={}/{}\\n", nic.network->ip, nic.network->prefix)
                        : "DHCP=ipv4\\n";
    if (nic.network && !nic.network->gateway.empty()) {
      text += fmt::format("Gateway={}\\n", nic.network->gateway);
    }
    out += fmt::format("  printf '{}' > /etc/systemd/network/10-{}.network\n", text, bare);
  }
  if (!vm.nics.empty()) out += "  systemctl restart systemd-networkd\n";
  return out;
}

void note_lines(const Ports& ports, std::string_view text) {
  for (std::string_view line : split(text, '\n')) {
    if (!line.empty()) ports.note(line);
  }
}

std::string swap_note(const model::Vm& vm) {
  return fmt::format(
      "no agent in the guest: it has new NICs with MACs of their own, which it has to set up "
      "itself "
      "(by DHCP it may have done so), and the snapshot's name; in the guest:\n{}",
      identity_hints(vm, true));
}

}  // namespace cocoon::engine
