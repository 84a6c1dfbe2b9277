// SPDX-License-Identifier: Apache-2.0
#include "engine/seed.h"

#include <algorithm>

#include "cidata/seed.h"
#include "engine/vm_view.h"
#include "sys/files.h"
#include "sys/spawn.h"

namespace cocoon::engine {

namespace {

const model::Disk* seed_disk(const model::Vm& vm) {
  auto disk = std::find_if(vm.disks.begin(), vm.disks.end(), [](const model::Disk& one) {
    return one.role == model::DiskRole::kCidata;
  });
  return disk == vm.disks.end() ? nullptr : &*disk;
}

// Our guest program, which is an agent too.
Result<std::string> agent_program() {
  constexpr std::size_t kLimit = std::size_t{4} << 20;
  std::string path = COCOON_TRY(sys::libexec_dir()) + "/cocoon-guest";
  return COCOON_TRY(sys::read_file(path, kLimit), "read the guest's agent (--no-agent: without)");
}

}  // namespace

Result<std::optional<std::string>> render_seed_disk(const Ports& ports, const model::Vm& vm,
                                                    const CreateRequest& request) {
  if (seed_disk(vm) == nullptr) return std::optional<std::string>();
  cidata::SeedValues values;
  values.instance_id = vm.id;
  values.hostname = vm.config.name;
  // An empty password is none; without keys there is no account to make either.
  bool has_login = !request.guest_password.empty() || !request.ssh_keys.empty();
  values.user = has_login ? request.guest_user : "";
  values.password = request.guest_password;
  values.ssh_keys = request.ssh_keys;
  values.user_data = request.user_data;
  values.mounts = cidata::seed_mounts(vm.disks);
  values.dns = ports.config.dns;
  for (const model::Nic& nic : vm.nics) {
    cidata::SeedNic one;
    one.mac = nic.mac;
    if (nic.network) {
      one.address = nic.network->ip;
      one.prefix = nic.network->prefix;
      one.gateway = nic.network->gateway;
    }
    values.nics.push_back(std::move(one));
  }
  if (!vm.nics.empty() && !vm.nics.front().dns.empty()) values.dns = vm.nics.front().dns;
  if (!request.no_agent) values.agent_program = COCOON_TRY(agent_program());
  return std::optional<std::string>(COCOON_TRY(cidata::render_seed(values), "NoCloud disk"));
}

Result<void> make_seed(const Ports& ports, const model::Vm& vm, const CreateRequest& request) {
  const model::Disk* disk = seed_disk(vm);
  auto bytes = COCOON_TRY(render_seed_disk(ports, vm, request));
  if (disk == nullptr || !bytes) return {};
  auto path = vm_dir(ports, vm) / disk->path;
  COCOON_TRY(sys::write_file_atomic(path, *bytes, 0600), "write the NoCloud disk");
  return sys::set_owner(path, 0, vm.uid, 0440);
}

}  // namespace cocoon::engine
