// SPDX-License-Identifier: Apache-2.0
#include "engine/boot_json.h"

#include <algorithm>

#include "base/cpio.h"
#include "base/text.h"

namespace cocoon::engine {
namespace {

using nlohmann::json;

json disk_place(const model::Disk& disk, std::size_t index) {
  return {{"serial", disk.serial}, {"index", index}};
}

void add_disk(json& out, const model::Disk& disk, std::size_t index,
              const std::string& modules_version) {
  json place = disk_place(disk, index);
  switch (disk.role) {
    case model::DiskRole::kLayer:
      if (disk.serial == kModulesSerial) {
        place["version"] = modules_version;
        out["modules"] = place;
      } else {
        out["layers"].push_back(place);
      }
      return;
    case model::DiskRole::kCow:
      place["fstype"] = "ext4";
      out["cow"] = place;
      return;
    case model::DiskRole::kData:
      if (disk.mount_point.empty()) return;
      place["fstype"] = disk.fstype;
      place["mount"] = disk.mount_point;
      out["mounts"].push_back(place);
      return;
    case model::DiskRole::kCidata:
      return;
  }
}

}  // namespace

namespace {

// Interfaces are known by their MAC; the guest program names them eth0, eth1….
json render_nic(const model::Nic& nic) {
  json out = {{"mac", nic.mac}};
  if (nic.mtu > 0) out["mtu"] = nic.mtu;
  if (!nic.network) return out;  // DHCP
  out["address"] = nic.network->ip;
  out["prefix"] = nic.network->prefix;
  if (!nic.network->gateway.empty()) out["gateway"] = nic.network->gateway;
  for (const model::NicRoute& route : nic.routes) {
    auto slash = route.destination.find('/');
    json one = {{"address", route.destination.substr(0, slash)},
                {"prefix", parse_decimal(route.destination.substr(slash + 1)).value_or(32)}};
    if (!route.gateway.empty()) one["gateway"] = route.gateway;
    out["routes"].push_back(std::move(one));
  }
  return out;
}

// Each server once, in the order of the NICs.
std::vector<std::string> guest_dns(const model::Vm& vm, const std::vector<std::string>& dns) {
  std::vector<std::string> out;
  for (const model::Nic& nic : vm.nics) {
    for (const std::string& server : nic.dns) {
      if (std::find(out.begin(), out.end(), server) == out.end()) out.push_back(server);
    }
  }
  return out.empty() ? dns : out;
}

}  // namespace

std::string layer_serial(std::size_t index) { return fmt::format("cocoon-layer{}", index); }

std::string render_boot_json(const model::Vm& vm, const std::string& modules_version,
                             const std::vector<std::string>& dns, bool ends_by_reboot) {
  json out = {{"version", 1},
              {"id", vm.id},
              {"hostname", vm.config.name},
              {"nonce", vm.nonce},
              {"end", ends_by_reboot ? "reboot" : "poweroff"},
              {"layers", json::array()},
              {"mounts", json::array()},
              {"dns", guest_dns(vm, dns)},
              {"nics", json::array()}};
  for (std::size_t i = 0; i < vm.disks.size(); ++i) add_disk(out, vm.disks[i], i, modules_version);
  for (const model::Nic& nic : vm.nics) out["nics"].push_back(render_nic(nic));
  out["run"] = {{"mode", vm.run.init ? "init" : "exec"},
                {"argv", vm.run.argv},
                {"env", vm.run.env},
                {"workdir", vm.run.workdir},
                {"user", vm.run.user}};
  // Only when it is so: guest programs of older kernel objects do not know the key.
  if (vm.run.attach) out["run"]["attach"] = true;
  return out.dump();
}

std::string render_boot_archive(const std::string& boot_json) {
  CpioArchive archive;
  archive.add_directory("cocoon", 0700);
  archive.add_file("cocoon/boot.json", 0400, boot_json);
  return archive.finish();
}

}  // namespace cocoon::engine
