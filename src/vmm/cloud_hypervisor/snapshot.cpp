// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/snapshot.h"

#include "vmm/cloud_hypervisor/nic_swap.h"
#include "vmm/cloud_hypervisor/payload.h"
#include "vmm/cloud_hypervisor/saved_state.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using Json = nlohmann::ordered_json;

Failure too_old(const Version& version, std::string_view what) {
  return fail(ErrorKind::kUnsupported, "{} needs Cloud Hypervisor {} or newer, and {} is installed",
              what, kMapsMemory.to_string(), version.to_string());
}

// A guest whose memory is to lie in its own file gets it there by a copy, which the engine makes (a
// reflink where it can).
Result<MemoryPlan> plan_own_file(RestoreMode mode) {
  if (mode != RestoreMode::kAuto && mode != RestoreMode::kCopy) {
    return fail(ErrorKind::kUnsupported,
                "restore mode {}: memory in a file of the VM's own (memory backing file) is always "
                "a copy",
                restore_mode_name(mode));
  }
  return MemoryPlan{RestoreMode::kCopy, MemoryHome::kOwnFile, kMemoryFile, false};
}

Json restore_body(RestoreMode mode) {
  Json body{{"source_url", "file://."}};
  if (mode == RestoreMode::kOnDemand) body["memory_restore_mode"] = "OnDemand";
  return body;
}

// What is said to the VMM; between the two the guest is paused.
std::vector<ApiCall> load_calls(RestoreMode mode, std::vector<ApiCall> while_paused) {
  std::vector<ApiCall> calls{{"PUT", "/api/v1/vm.restore", restore_body(mode)}};
  for (ApiCall& call : while_paused) calls.push_back(std::move(call));
  calls.push_back({"PUT", "/api/v1/vm.resume", nullptr});
  return calls;
}

void allow_page_faults(Json& config) {
  if (!config.contains("landlock_rules")) return;
  config["landlock_rules"].push_back({{"path", kUserfaultfd}, {"access", "rw"}});
}

}  // namespace

Result<void> check_can_save(const Version& version) {
  if (version >= kDrainsDisks) return {};
  return fail(ErrorKind::kUnsupported,
              "Cloud Hypervisor {} does not wait for the guest's disks when it pauses, so that a "
              "snapshot could be torn; {} or newer does",
              version.to_string(), kDrainsDisks.to_string());
}

SavedFiles saved_files(const model::Vm& vm) {
  if (vm.memory_backing == "file") return {{kConfigFile, kStateFile}, kMemoryFile, false};
  return {{kConfigFile, kStateFile}, kMemoryRangesFile, true};
}

Result<MemoryPlan> plan_memory(const model::Vm& vm, const SavedFiles& files, RestoreMode mode,
                               const Version& version) {
  if (vm.memory_backing == "file") return plan_own_file(mode);
  bool maps = version >= kMapsMemory;
  if (mode == RestoreMode::kAuto) {
    mode = maps || !files.memory_by_vmm ? RestoreMode::kMmap : RestoreMode::kCopy;
  }
  if (mode == RestoreMode::kMmap) {
    if (!maps) return too_old(version, "a mapping of the snapshot's memory");
    return MemoryPlan{mode, MemoryHome::kPrivateFile, files.memory, true};
  }
  // The VMM reads only what it wrote itself.
  if (!files.memory_by_vmm) {
    return fail(
        ErrorKind::kUnsupported,
        "restore mode {}: the snapshot's memory was in a file of the VM's own; use mmap, or "
        "memory backing file for a copy",
        restore_mode_name(mode));
  }
  if (mode == RestoreMode::kOnDemand && !maps) return too_old(version, "restore mode ondemand");
  return MemoryPlan{mode, MemoryHome::kAnonymous, {}, true};
}

Result<LoadPlan> render_load(const model::Vm& vm, const model::Vm& saved_vm,
                             const SavedTexts& texts, const MemoryPlan& memory, const Host& host,
                             bool swap) {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  Plan saved_plan = COCOON_TRY(parse_plan(saved_vm.device_plan), "the snapshot");
  if (plan != saved_plan) {
    return fail(ErrorKind::kUnsupported, "the VM has other devices than the snapshot");
  }
  SavedConfig config = COCOON_TRY(parse_saved_config(texts.config, saved_vm, saved_plan));
  SavedState state = COCOON_TRY(parse_saved_state(texts.state, saved_vm, saved_plan, config));
  Host own = host;
  // A page is read in when it is missed: small ones.
  if (memory.mode == RestoreMode::kOnDemand) own.huge_page_size = 0;
  Json made = COCOON_TRY(render_load_config(vm, plan, own, config, memory.home, memory.file));
  if (memory.mode == RestoreMode::kOnDemand) allow_page_faults(made);
  NicSwap swapped;
  swap = swap && can_swap_nics(vm, saved_vm);
  if (swap) swapped = swap_nics(made, saved_vm, plan);
  LoadPlan load;
  load.launch = COCOON_TRY(render_launch(vm, plan, host));
  load.launch.calls = load_calls(memory.mode, std::move(swapped.calls));
  load.stand_ins = std::move(swapped.stand_ins);
  load.leaving = std::move(swapped.leaving);
  load.mode = memory.mode;
  std::string member = saved_files(saved_vm).memory;
  if (memory.link) load.links = {member};
  // A guest that reboots maps it again.
  if (memory.home == MemoryHome::kPrivateFile) load.kept = {member};
  if (memory.home == MemoryHome::kOwnFile) load.memory_copy = member;
  // Apart: an early return out of a braced list would leak what the list has built so far (GCC 12).
  std::string state_text =
      COCOON_TRY(render_load_state(std::move(state), swap ? saved_vm : vm, memory.home));
  load.texts = {{kConfigFile, made.dump(-1, ' ', false, Json::error_handler_t::replace)},
                {kStateFile, std::move(state_text)}};
  return load;
}

}  // namespace cocoon::vmm::cloud_hypervisor
