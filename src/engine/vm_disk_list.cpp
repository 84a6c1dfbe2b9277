// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_disk_list.h"

#include <sys/stat.h>

#include <algorithm>

#include "engine/vm_disk.h"
#include "engine/vm_view.h"

namespace cocoon::engine {
namespace {

// The disks that the running guest has; without hot-plug those it was started with, so all.
Result<std::vector<std::string>> attached_paths(Ports& ports, const model::Vm& vm) {
  std::vector<std::string> paths;
  auto live = COCOON_TRY(LiveVm::open(ports, vm));
  if (!live) return paths;
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  if (COCOON_TRY(backend->capabilities()).hotplug) {
    return backend->plugged_disks(vm, live->vmm(), deadline_in(kDiskCallLimit));
  }
  for (const model::Disk& disk : vm.disks) paths.push_back(disk.path);
  return paths;
}

}  // namespace

Result<std::vector<DiskView>> list_disks(Ports& ports, const model::Vm& vm) {
  auto attached =
      COCOON_TRY(attached_paths(ports, vm), "list the disks of vm \"{}\"", vm.config.name);
  std::vector<DiskView> views;
  for (const model::Disk& disk : vm.disks) {
    DiskView view{disk, disk_label(disk), 0, 0, false};
    struct stat info {};
    if (lstat((vm_dir(ports, vm) / disk.path).c_str(), &info) == 0) {
      // An overlay's own size is the record's: root does not read what a guest may have written.
      view.size = disk.backing.empty() ? info.st_size : vm.config.storage;
      view.used = static_cast<std::int64_t>(info.st_blocks) * 512;
    }
    view.attached = std::find(attached.begin(), attached.end(), disk.path) != attached.end();
    views.push_back(std::move(view));
  }
  return views;
}

nlohmann::json disk_json(const Ports& ports, const model::Vm& vm, const DiskView& view) {
  nlohmann::json json = view.disk;
  json["path"] = (vm_dir(ports, vm) / view.disk.path).native();
  if (!view.disk.backing.empty()) {
    json["backing"] = (vm_dir(ports, vm) / view.disk.backing).native();
  }
  json["name"] = view.name;
  json["size"] = view.size;
  json["used"] = view.used;
  json["attached"] = view.attached;
  return json;
}

}  // namespace cocoon::engine
