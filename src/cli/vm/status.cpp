// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/vm/status_filter.h"
#include "cli/vm/vm.h"
#include "cli/vm/vm_table.h"
#include "engine/vm_view.h"

namespace cocoon::cli {
namespace {

Result<int> run(App& app, const std::string& format, const Arguments& arguments) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  std::vector<model::Vm> vms;
  if (ports != nullptr) vms = COCOON_TRY(engine::list_vms(*ports));
  std::erase_if(vms, [&](const model::Vm& vm) { return !matches_filter(vm, arguments.names); });
  if (!wants_json(format)) {
    app.output().print(vm_table(vms));
    return 0;
  }
  nlohmann::json list = nlohmann::json::array();
  for (const model::Vm& vm : vms) list.push_back(engine::public_json(*ports, vm));
  app.output().print(render_json(list));
  return 0;
}

}  // namespace

bool matches_filter(const model::Vm& vm, const std::vector<std::string>& filter) {
  constexpr std::size_t kShortestPrefix = 3;
  if (filter.empty()) return true;
  return std::any_of(filter.begin(), filter.end(), [&vm](const std::string& text) {
    bool prefix = text.size() >= kShortestPrefix && vm.id.compare(0, text.size(), text) == 0;
    return prefix || vm.id == text || vm.config.name == text;
  });
}

Command vm_status_command() {
  auto format = std::make_shared<std::string>("table");
  Flag flag = format_flag(format.get());
  flag.short_name = 0;
  Command command;
  command.path = "vm status";
  command.usage = "[VM...]";
  command.summary = "Show the state of all VMs, or of those that match";
  command.flags = {flag};
  command.max_names = kAnyNumber;
  command.names = Names::kVm;
  command.run = [format](App& app, const Arguments& arguments) {
    return run(app, *format, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
