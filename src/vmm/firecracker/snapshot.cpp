// SPDX-License-Identifier: Apache-2.0
#include "vmm/firecracker/snapshot.h"

namespace cocoon::vmm::firecracker {
namespace {

using Json = nlohmann::ordered_json;

// A TAP is found by the name in the device state, which is the same in every VM's namespace unless
// a NIC was taken away before another.
Json render_overrides(const model::Vm& vm, const model::Vm& saved_vm) {
  Json overrides = Json::array();
  for (std::size_t index = 0; index < vm.nics.size(); ++index) {
    if (vm.nics[index].tap == saved_vm.nics[index].tap) continue;
    overrides.push_back(
        {{"iface_id", fmt::format("eth{}", index)}, {"host_dev_name", vm.nics[index].tap}});
  }
  return overrides;
}

}  // namespace

ApiCall render_save(const std::string& dir) {
  return {"PUT",
          "/snapshot/create",
          {{"snapshot_type", "Full"},
           {"snapshot_path", fmt::format("{}/{}", dir, kStateFile)},
           {"mem_file_path", fmt::format("{}/{}", dir, kMemFile)}}};
}

Result<LoadPlan> render_load(const model::Vm& vm, const model::Vm& saved_vm, RestoreMode mode,
                             const HostFacts& host) {
  if (mode != RestoreMode::kAuto && mode != RestoreMode::kMmap) {
    return fail(ErrorKind::kUnsupported,
                "restore mode {}: Firecracker always maps the snapshot's memory (mmap)",
                restore_mode_name(mode));
  }
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  if (plan != COCOON_TRY(parse_plan(saved_vm.device_plan), "the snapshot") ||
      vm.nics.size() != saved_vm.nics.size()) {
    return fail(ErrorKind::kUnsupported, "the VM has other devices than the snapshot");
  }
  LoadPlan load;
  load.launch = COCOON_TRY(render_launch(vm, plan, host));
  Json body{{"snapshot_path", kStateFile},
            {"mem_backend", {{"backend_type", "File"}, {"backend_path", kMemFile}}}};
  Json overrides = render_overrides(vm, saved_vm);
  if (!overrides.empty()) body["network_overrides"] = std::move(overrides);
  load.launch.calls = {{"PUT", "/snapshot/load", std::move(body)},
                       {"PATCH", "/vm", {{"state", "Resumed"}}}};
  load.mode = RestoreMode::kMmap;
  load.links = {kStateFile, kMemFile};
  return load;
}

}  // namespace cocoon::vmm::firecracker
