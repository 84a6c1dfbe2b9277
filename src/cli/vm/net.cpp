// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/vm/vm.h"
#include "engine/vm_net.h"
#include "engine/vm_view.h"
#include "store/vm_rows.h"

namespace cocoon::cli {
namespace {

struct VmNet {
  std::optional<int> nics;
  std::string network;
  std::string bridge;
  std::string format;
};

Result<int> run(App& app, const VmNet& flags, const Arguments& arguments) {
  if (!flags.nics) return fail(ErrorKind::kInvalid, "--nics N is required");
  if (!flags.network.empty() && !flags.bridge.empty()) {
    return fail(ErrorKind::kInvalid, "--network and --bridge exclude each other");
  }
  engine::Ports* ports = COCOON_TRY(app.ports());
  std::string id = COCOON_TRY(store::resolve_vm(ports->db, arguments.names[0]));
  model::Vm vm =
      COCOON_TRY(engine::change_nics(*ports, id, {*flags.nics, flags.network, flags.bridge}));
  if (wants_json(flags.format)) {
    app.output().print(render_json(engine::public_json(*ports, vm)));
    return 0;
  }
  for (const model::Nic& nic : vm.nics) {
    app.output().line(
        fmt::format("{}  {}", nic.mac, nic.network ? nic.network->ip : std::string("DHCP")));
  }
  return 0;
}

}  // namespace

Command vm_net_command() {
  auto flags = std::make_shared<VmNet>();
  Command command;
  command.path = "vm net";
  command.usage = "VM";
  command.summary = "Change the number of a stopped VM's network interfaces";
  command.flags = {{.name = "nics",
                    .target = &flags->nics,
                    .help = "network interfaces it is to have",
                    .value_name = "N"},
                   {.name = "network",
                    .target = &flags->network,
                    .help = "CNI network or user, for a VM without interfaces",
                    .value_name = "NAME"},
                   {.name = "bridge",
                    .target = &flags->bridge,
                    .help = "bridge of the host, for a VM without interfaces",
                    .value_name = "DEVICE"},
                   output_flag(&flags->format)};
  command.min_names = command.max_names = 1;
  command.names = Names::kVm;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
