// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/json_output.h"
#include "cli/vm/disk/disk.h"
#include "cli/vm/references.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const std::string& format, const Arguments& arguments) {
  const std::string& text = arguments.names[1];
  auto spec = COCOON_TRY(model::parse_data_disk(text), "{}", text);
  FoundVm found = COCOON_TRY(find_vm(app, arguments.names[0]));
  auto done = COCOON_TRY(engine::attach_disk(*found.ports, found.vm.id, spec));
  app.output().remark(mount_hint(done));
  if (!wants_json(format)) {
    app.output().line(done.disk.serial);
    return 0;
  }
  auto disks = COCOON_TRY(engine::list_disks(*found.ports, done.vm));
  auto own = std::find_if(disks.begin(), disks.end(), [&done](const engine::DiskView& view) {
    return view.disk.path == done.disk.path;
  });
  if (own != disks.end()) {
    app.output().print(render_json(engine::disk_json(*found.ports, done.vm, *own)));
  }
  return 0;
}

}  // namespace

std::string mount_hint(const engine::AttachedDisk& done) {
  const model::Disk& disk = done.disk;
  bool mounts_itself = done.vm.boot.boot_kit && !disk.mount_point.empty();
  if (done.mounted) {
    return fmt::format("The guest has mounted it at {}{}.", disk.mount_point,
                       mounts_itself ? "" : ", until it restarts");
  }
  if (!done.hot) {
    if (mounts_itself) {
      return fmt::format("The guest mounts it at {} when it starts.", disk.mount_point);
    }
    return fmt::format("The guest finds it by its serial, \"{}\", when it starts.", disk.serial);
  }
  std::string find = fmt::format("In the guest it is the disk with the serial \"{}\"", disk.serial);
  if (disk.mount_point.empty()) return find + ".";
  return fmt::format(
      "{}; mount it with: for d in /sys/block/vd*; do grep -qx {} $d/serial && "
      "mkdir -p {} && mount /dev/${{d##*/}} {}; done{}",
      find, disk.serial, disk.mount_point, disk.mount_point,
      mounts_itself ? " (from the next start on the guest does)" : "");
}

Command vm_disk_attach_command() {
  auto format = std::make_shared<std::string>();
  Command command;
  command.path = "vm disk attach";
  command.usage = "VM SPEC";
  command.summary = "Add a data disk to a VM, running or not";
  command.details =
      "SPEC is that of --data-disk: "
      "size=SIZE[,name=NAME][,fstype=ext4|xfs|btrfs|none][,mount=DIR]\n"
      "[,directio=on|off|auto]. Prints NAME, the disk's serial in the guest (data1, data2... when\n"
      "none is given). A running guest sees it at once; it is mounted when the guest starts next.";
  command.flags = {output_flag(format.get())};
  command.min_names = command.max_names = 2;
  command.names = Names::kVm;
  command.run = [format](App& app, const Arguments& arguments) {
    return run(app, *format, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
