// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/backend.h"

#include <fcntl.h>

#include <cerrno>

#include "sys/files.h"
#include "sys/stream_socket.h"
#include "vmm/api_client.h"
#include "vmm/cloud_hypervisor/host.h"
#include "vmm/cloud_hypervisor/payload.h"
#include "vmm/cloud_hypervisor/plan.h"
#include "vmm/cloud_hypervisor/snapshot.h"
#include "vmm/cloud_hypervisor/version.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

constexpr VmmDoor kDoor{"Cloud Hypervisor", kApiSocket};
constexpr std::size_t kMaxMeminfo = std::size_t{64} << 10;
constexpr const char* kFirmwareName = "CLOUDHV.fd";

ApiCall put(const char* path) { return {"PUT", path, nullptr}; }

std::int64_t huge_page_for(const Plan& plan) {
  auto meminfo = sys::read_file("/proc/meminfo", kMaxMeminfo);
  return meminfo ? fitting_huge_page(*meminfo, plan.memory) : 0;
}

Result<VmmStatus> read_status(const nlohmann::json& info) {
  auto state = info.is_object() ? info.find("state") : info.end();
  if (!info.is_object() || state == info.end() || !state->is_string()) {
    return fail(ErrorKind::kCorrupt, "vm.info: no state in the answer");
  }
  constexpr std::size_t kMaxWord = 64;
  VmmStatus out;
  out.detail = state->get_ref<const std::string&>().substr(0, kMaxWord);
  out.running = out.detail == "Running";
  out.paused = out.detail == "Paused";
  return out;
}

}  // namespace

Result<Capabilities> CloudHypervisorBackend::capabilities() const {
  std::string path = COCOON_TRY(find_program(binary_));
  Capabilities out;
  out.version = COCOON_TRY(program_version(path, run_dir_));
  out.direct_boot = true;
  out.uefi = true;
  out.windows = true;
  out.qcow2 = true;
  out.disk_serials = true;
  out.per_disk_direct_io = true;
  out.queue_sizes = true;
  out.hotplug = true;
  out.reboot_in_place = true;
  out.needs_kvm = true;
  out.landlock = has_landlock();
  out.snapshots = out.version >= kDrainsDisks;
  out.mmap_restore = out.version >= kMapsMemory;
  out.ondemand_restore = out.version >= kMapsMemory;
  out.incremental = out.snapshots;
  out.nic_swap = true;
  out.graceful_stop = GracefulStop::kPowerButton;
  out.max_disks = kFreeSlotsDirect;
  out.max_cpus = kMaxCpus;
  out.multi_queue_nics = true;
  out.max_nics = model::kMaxNics;
  return out;
}

Result<Firmware> CloudHypervisorBackend::firmware() const {
  if (!firmware_.empty()) {
    if (sys::exists(firmware_)) return Firmware{firmware_, {}};
    return fail(ErrorKind::kUnsupported, "no UEFI firmware: {} (ch_firmware) is missing",
                firmware_);
  }
  const std::filesystem::path ours = root_dir_ / "firmware" / kFirmwareName;
  for (const std::filesystem::path& dir :
       {ours.parent_path(), std::filesystem::path("/usr/local/share/cloud-hypervisor"),
        std::filesystem::path("/usr/share/cloud-hypervisor")}) {
    if (sys::exists(dir / kFirmwareName)) return Firmware{dir / kFirmwareName, {}};
  }
  return fail(ErrorKind::kUnsupported,
              "no UEFI firmware for Cloud Hypervisor: put a {} at {}, or name it with "
              "COCOON_CH_FIRMWARE",
              kFirmwareName, ours.native());
}

Result<model::DevicePlan> CloudHypervisorBackend::plan_devices(const model::Vm& vm) const {
  COCOON_TRY(capabilities());
  Plan plan = COCOON_TRY(make_plan(vm), "plan the devices");
  return plan_to_json(plan);
}

Result<model::DevicePlan> CloudHypervisorBackend::replan_nics(const model::Vm& vm) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return plan_to_json(COCOON_TRY(cloud_hypervisor::replan_nics(plan, vm), "plan the NICs"));
}

Result<model::DevicePlan> CloudHypervisorBackend::replan_disks(const model::Vm& vm) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return plan_to_json(COCOON_TRY(cloud_hypervisor::replan_disks(plan, vm), "plan the disks"));
}

Result<Host> CloudHypervisorBackend::look_at_host(const Plan& plan, Accel accel) const {
  if (accel != Accel::kKvm) {
    return fail(ErrorKind::kUnsupported, "Cloud Hypervisor does not emulate a processor");
  }
  Capabilities able = COCOON_TRY(capabilities());
  return Host{able.version, able.landlock, huge_page_for(plan)};
}

Result<model::DevicePlan> CloudHypervisorBackend::replan_size(const model::Vm& vm) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return plan_to_json(COCOON_TRY(cloud_hypervisor::replan_size(plan, vm), "plan vCPUs and memory"));
}

Result<Launch> CloudHypervisorBackend::plan_launch(const model::Vm& vm, Accel accel) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  Host host = COCOON_TRY(look_at_host(plan, accel));
  Launch launch = COCOON_TRY(render_launch(vm, plan, host), "plan the launch");
  launch.program = COCOON_TRY(find_program(binary_));
  return launch;
}

Result<void> CloudHypervisorBackend::finish_start(const Launch& launch, const RunningVmm& vmm,
                                                  Deadline deadline) const {
  return make_calls(launch.calls, vmm, kDoor, deadline);
}

Result<bool> CloudHypervisorBackend::ask_guest_to_stop(const RunningVmm& vmm,
                                                       Deadline deadline) const {
  ApiClient client(vmm, kDoor);
  return ask_until_ended(vmm, deadline, [&client](Deadline limit) -> Result<void> {
    COCOON_TRY(client.call(put("/api/v1/vm.power-button"), limit));
    return {};
  });
}

Result<void> CloudHypervisorBackend::quit(const RunningVmm& vmm, Deadline deadline) const {
  ApiClient client(vmm, kDoor);
  // Ends the guest and closes its disks in order; a guest that is gone already is no matter.
  auto shut = client.call(put("/api/v1/vm.shutdown"), deadline);
  if (!shut && shut.error().kind == ErrorKind::kInterrupted) return pass(shut.error());
  auto told = client.call(put("/api/v1/vmm.shutdown"), deadline);
  // The answer may be lost in the end that it announces.
  if (told || sys::is_peer_gone(told.error())) return {};
  if (COCOON_TRY(has_ended(vmm, Milliseconds(0)))) return {};
  return pass(told.error(), "tell Cloud Hypervisor to quit");
}

// The last thing it does is to remove its API socket; when it is killed or crashes the socket
// stays.
bool CloudHypervisorBackend::left_in_order(int vm_dir) const {
  auto socket = sys::open_beneath(vm_dir, kApiSocket, O_PATH | O_NOFOLLOW);
  return !socket && socket.error().saved_errno == ENOENT;
}

Result<VmmStatus> CloudHypervisorBackend::status(const RunningVmm& vmm, Deadline deadline) const {
  ApiClient client(vmm, kDoor);
  auto info = COCOON_TRY(client.call({"GET", "/api/v1/vm.info", nullptr}, deadline),
                         "ask Cloud Hypervisor for its status");
  return read_status(info);
}

}  // namespace cocoon::vmm::cloud_hypervisor
