// SPDX-License-Identifier: Apache-2.0
#include "vmm/firecracker/backend.h"

#include <signal.h>
#include <sys/stat.h>

#include "vmm/api_client.h"
#include "vmm/firecracker/host.h"
#include "vmm/firecracker/payload.h"
#include "vmm/firecracker/plan.h"
#include "vmm/firecracker/snapshot.h"
#include "vmm/firecracker/version.h"
#include "vmm/installed.h"

namespace cocoon::vmm::firecracker {
namespace {

constexpr VmmDoor kDoor{"Firecracker", kApiSocket};
constexpr const char* kRemedy = "one program, from its project's releases";

Result<std::string> find(const std::string& binary) { return find_binary(binary, kRemedy); }

Result<std::int64_t> member_size(const SavedVm& saved, const char* name) {
  struct stat info {};
  if (lstat((saved.dir / name).c_str(), &info) != 0) return fail_errno(name);
  if (!S_ISREG(info.st_mode)) return fail(ErrorKind::kCorrupt, "{} is no file", name);
  return info.st_size;
}

// Device state is Firecracker's own business, but what is too long is none: 15 KB are usual.
Result<void> check_members(const SavedVm& saved) {
  constexpr std::int64_t kMaxState = std::int64_t{4} << 20;
  auto state = COCOON_TRY(member_size(saved, kStateFile));
  if (state == 0 || state > kMaxState) {
    return fail(ErrorKind::kCorrupt, "{}: {} bytes", kStateFile, state);
  }
  Plan plan = COCOON_TRY(parse_plan(saved.vm->device_plan));
  auto memory = saved.memory_bytes ? *saved.memory_bytes : COCOON_TRY(member_size(saved, kMemFile));
  if (memory == plan.memory) return {};
  return fail(ErrorKind::kCorrupt, "{}: {} bytes, not the {} of the guest's memory", kMemFile,
              memory, plan.memory);
}

}  // namespace

Result<Capabilities> FirecrackerBackend::capabilities() const {
  std::string path = COCOON_TRY(find(binary_));
  VersionQuestion question{"firecracker-version", parse_version};
  Version version = COCOON_TRY(installed_version(path, run_dir_, question));
  COCOON_TRY(check_oldest(path, version, kOldest));
  return capabilities_of(version);
}

Result<Firmware> FirecrackerBackend::firmware() const {
  return fail(ErrorKind::kUnsupported, "firecracker boots no UEFI firmware (capability uefi)");
}

Result<model::DevicePlan> FirecrackerBackend::plan_devices(const model::Vm& vm) const {
  COCOON_TRY(capabilities());
  Plan plan = COCOON_TRY(make_plan(vm), "plan the devices");
  return plan_to_json(plan);
}

Result<model::DevicePlan> FirecrackerBackend::replan_nics(const model::Vm& vm) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return plan_to_json(COCOON_TRY(firecracker::replan_nics(plan, vm), "plan the NICs"));
}

Result<model::DevicePlan> FirecrackerBackend::replan_disks(const model::Vm& vm) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return plan_to_json(COCOON_TRY(firecracker::replan_disks(plan, vm), "plan the disks"));
}

Result<model::DevicePlan> FirecrackerBackend::replan_size(const model::Vm& vm) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return plan_to_json(COCOON_TRY(firecracker::replan_size(plan, vm), "plan vCPUs and memory"));
}

Result<Launch> FirecrackerBackend::plan_launch(const model::Vm& vm, Accel /*accel*/) const {
  COCOON_TRY(capabilities());
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  std::string program = COCOON_TRY(find(binary_));
  Launch launch = COCOON_TRY(render_launch(vm, plan, look_at_host(program)), "plan the launch");
  launch.program = std::move(program);
  return launch;
}

Result<void> FirecrackerBackend::finish_start(const Launch& launch, const RunningVmm& vmm,
                                              Deadline deadline) const {
  return make_calls(launch.calls, vmm, kDoor, deadline);
}

Result<bool> FirecrackerBackend::ask_guest_to_stop(const RunningVmm& vmm, Deadline deadline) const {
  return ask_until_ended(vmm, deadline, [&vmm](Deadline limit) -> Result<void> {
    ApiClient client(vmm, kDoor);
    ApiCall keys{"PUT", "/actions", {{"action_type", "SendCtrlAltDel"}}};
    auto answer = client.call(keys, limit);
    // A guest that does not read its keyboard yet lets its buffer run full; Firecracker refuses
    // further keys then. It may come to read them.
    if (!answer && answer.error().kind == ErrorKind::kVmm) return {};
    if (!answer) return pass(std::move(answer).error(), "press Ctrl-Alt-Del in the guest");
    return {};
  });
}

// There is no call for it; by its default action the signal ends the process at once. What the
// guest has written is in the host's page cache by then.
Result<void> FirecrackerBackend::quit(const RunningVmm& vmm, Deadline /*deadline*/) const {
  if (vmm.handle == nullptr) return {};
  return vmm.handle->signal(SIGTERM);
}

// Both calls may be repeated.
Result<void> FirecrackerBackend::pause(const RunningVmm& vmm, Deadline deadline) const {
  ApiClient client(vmm, kDoor);
  COCOON_TRY(client.call({"PATCH", "/vm", {{"state", "Paused"}}}, deadline), "pause the guest");
  return {};
}

Result<void> FirecrackerBackend::resume(const RunningVmm& vmm, Deadline deadline) const {
  ApiClient client(vmm, kDoor);
  COCOON_TRY(client.call({"PATCH", "/vm", {{"state", "Resumed"}}}, deadline), "resume the guest");
  return {};
}

// Requests of the guest's disks that are under way are finished and flushed by it.
Result<void> FirecrackerBackend::save(const model::Vm& /*vm*/, const RunningVmm& vmm,
                                      const std::string& dir, Deadline deadline) const {
  ApiClient client(vmm, kDoor);
  COCOON_TRY(client.call(render_save(dir), deadline), "save the guest");
  return {};
}

Result<SavedFiles> FirecrackerBackend::saved_files(const model::Vm& /*vm*/) const {
  return SavedFiles{{kStateFile}, kMemFile, true, true};
}

Result<LoadPlan> FirecrackerBackend::plan_load(const model::Vm& vm, const SavedVm& saved,
                                               Accel /*accel*/, RestoreMode mode) const {
  COCOON_TRY(capabilities());
  std::string program = COCOON_TRY(find(binary_));
  HostFacts host = look_at_host(program);
  LoadPlan load = COCOON_TRY(render_load(vm, *saved.vm, mode, host), "read the snapshot");
  COCOON_TRY(check_members(saved), "read the snapshot");
  load.launch.program = std::move(program);
  return load;
}

Result<void> FirecrackerBackend::finish_load(const LoadPlan& plan, const RunningVmm& vmm,
                                             Deadline deadline) const {
  return make_calls(plan.launch.calls, vmm, kDoor, deadline);
}

Result<VmmStatus> FirecrackerBackend::status(const RunningVmm& vmm, Deadline deadline) const {
  ApiClient client(vmm, kDoor);
  auto answer =
      COCOON_TRY(client.call({"GET", "/", nullptr}, deadline), "ask Firecracker for its status");
  return parse_status(answer);
}

Result<VmmStatus> parse_status(const nlohmann::json& answer) {
  auto state = answer.is_object() ? answer.find("state") : answer.end();
  if (!answer.is_object() || state == answer.end() || !state->is_string()) {
    return fail(ErrorKind::kCorrupt, "GET /: no state in the answer");
  }
  VmmStatus out;
  constexpr std::size_t kMaxWord = 64;
  out.detail = state->get_ref<const std::string&>().substr(0, kMaxWord);
  out.running = out.detail == "Running";
  out.paused = out.detail == "Paused";
  return out;
}

}  // namespace cocoon::vmm::firecracker
