// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"
#include "cli/json_output.h"
#include "cli/table.h"
#include "cli/vm/disk/disk.h"
#include "cli/vm/references.h"

namespace cocoon::cli {
namespace {

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

Result<int> run(App& app, const std::string& format, const std::string& reference) {
  FoundVm found = COCOON_TRY(find_vm(app, reference));
  auto disks = COCOON_TRY(engine::list_disks(*found.ports, found.vm));
  if (!wants_json(format)) {
    app.output().print(disk_table(disks));
    return 0;
  }
  nlohmann::json list = nlohmann::json::array();
  for (const engine::DiskView& disk : disks) {
    list.push_back(engine::disk_json(*found.ports, found.vm, disk));
  }
  app.output().print(render_json(list));
  return 0;
}

}  // namespace

std::string disk_table(const std::vector<engine::DiskView>& disks) {
  Table table({"NAME", "SIZE", "USED", "FSTYPE", "MOUNT", "ROLE", "ATTACHED"});
  for (const engine::DiskView& view : disks) {
    table.add({view.name, bytes_size(view.size), bytes_size(view.used), or_dash(view.disk.fstype),
               or_dash(view.disk.mount_point), std::string(model::role_name(view.disk.role)),
               view.attached ? "now" : "next start"});
  }
  return table.render();
}

Command vm_disk_list_command() {
  auto format = std::make_shared<std::string>("table");
  Command command;
  command.path = "vm disk list";
  command.usage = "VM";
  command.summary = "List the disks of a VM, in the order that its guest sees";
  command.aliases = {"ls"};
  command.flags = {format_flag(format.get())};
  command.min_names = command.max_names = 1;
  command.names = Names::kVm;
  command.run = [format](App& app, const Arguments& arguments) {
    return run(app, *format, arguments.names[0]);
  };
  return command;
}

}  // namespace cocoon::cli
