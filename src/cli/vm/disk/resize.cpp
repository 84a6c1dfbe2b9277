// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"
#include "cli/json_output.h"
#include "cli/vm/disk/disk.h"
#include "cli/vm/references.h"
#include "engine/vm_disk_resize.h"
#include "engine/vm_view.h"

namespace cocoon::cli {
namespace {

// What grows the file system, which is never our work.
std::string growth_hint(const engine::ResizedDisk& done) {
  bool root = done.disk.role == model::DiskRole::kCow;
  if (root && done.vm.boot.boot_kit && !done.hot) {
    return "The guest grows its root file system when it starts.";
  }
  std::string_view tool = done.disk.fstype == "xfs"     ? "xfs_growfs"
                          : done.disk.fstype == "btrfs" ? "btrfs filesystem resize max"
                          : done.disk.fstype == "none"  ? ""
                                                        : "resize2fs";
  if (tool.empty()) return "The guest sees the new size.";
  return fmt::format("The file system on it has its old size until the guest grows it ({}){}.",
                     tool, root && done.vm.boot.boot_kit ? ", or starts again" : "");
}

Result<int> run(App& app, const std::string& format, const Arguments& arguments) {
  std::int64_t bytes = COCOON_TRY(parse_size(arguments.names[2]));
  FoundVm found = COCOON_TRY(find_vm(app, arguments.names[0]));
  auto done = COCOON_TRY(engine::resize_disk(*found.ports, found.vm.id, arguments.names[1], bytes));
  app.output().remark(growth_hint(done));
  if (wants_json(format)) {
    app.output().print(render_json(engine::public_json(*found.ports, done.vm)));
  } else {
    app.output().line(bytes_size(done.size));
  }
  return 0;
}

}  // namespace

Command vm_disk_resize_command() {
  auto format = std::make_shared<std::string>();
  Command command;
  command.path = "vm disk resize";
  command.usage = "VM NAME SIZE";
  command.summary = "Grow a data disk, or the root disk (NAME root), of a VM, running or not";
  command.details =
      "SIZE is the new size, in whole pages of 4 KiB. Disks never shrink. The guest grows what "
      "lies\n"
      "on the disk.";
  command.flags = {output_flag(format.get())};
  command.min_names = command.max_names = 3;
  command.names = Names::kVm;
  command.run = [format](App& app, const Arguments& arguments) {
    return run(app, *format, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
