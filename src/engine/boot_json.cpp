// SPDX-License-Identifier: Apache-2.0
#include "engine/boot_json.h"

#include "base/cpio.h"

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

std::string layer_serial(std::size_t index) { return fmt::format("cocoon-layer{}", index); }

std::string render_boot_json(const model::Vm& vm, const std::string& modules_version,
                             const std::vector<std::string>& dns) {
  json out = {{"version", 1},
              {"id", vm.id},
              {"hostname", vm.config.name},
              {"nonce", vm.nonce},
              {"end", "poweroff"},
              {"layers", json::array()},
              {"mounts", json::array()},
              {"dns", dns},
              {"nics", json::array()}};
  for (std::size_t i = 0; i < vm.disks.size(); ++i) add_disk(out, vm.disks[i], i, modules_version);
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
