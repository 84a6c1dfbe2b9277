// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/backend.h"

#include <fcntl.h>

#include <algorithm>

#include "sys/files.h"
#include "sys/stream_socket.h"
#include "vmm/installed.h"
#include "vmm/plan_rules.h"
#include "vmm/qemu/argv.h"
#include "vmm/qemu/hotplug.h"
#include "vmm/qemu/plan.h"
#include "vmm/qemu/qmp_client.h"
#include "vmm/qemu/snapshot.h"
#include "vmm/qemu/version.h"

namespace cocoon::vmm::qemu {
namespace {

constexpr Milliseconds kPoll{2};
constexpr VmmDoor kDoor{"QEMU", kQmpSocket};

Result<QmpClient> open_client(const RunningVmm& vmm, Deadline deadline) {
  sys::UniqueFd socket = COCOON_TRY(connect_vmm(vmm, kDoor, deadline));
  return QmpClient::open(std::move(socket), deadline);
}

Result<VmmStatus> query_status(QmpClient& client, Deadline deadline) {
  nlohmann::json answer = COCOON_TRY(client.execute("query-status", nullptr, deadline));
  const char* what = "QMP query-status: no status in the answer";
  if (!answer.is_object()) return fail(ErrorKind::kCorrupt, "{}", what);
  auto status = answer.find("status");
  auto running = answer.find("running");
  if (status == answer.end() || !status->is_string() || running == answer.end() ||
      !running->is_boolean()) {
    return fail(ErrorKind::kCorrupt, "{}", what);
  }
  VmmStatus out;
  constexpr std::size_t kMaxWord = 64;
  out.detail = status->get_ref<const std::string&>().substr(0, kMaxWord);
  out.running = running->get<bool>();
  out.paused = out.detail == "paused" || out.detail == "postmigrate";
  return out;
}

Result<void> wait_until_running(const RunningVmm& vmm, Deadline deadline) {
  QmpClient client = COCOON_TRY(open_client(vmm, deadline));
  while (true) {
    VmmStatus status = COCOON_TRY(query_status(client, deadline));
    if (status.running) return {};
    if (status.detail != "prelaunch") {
      return fail(ErrorKind::kVmm, "the guest does not run; QEMU says \"{}\"", status.detail);
    }
    if (COCOON_TRY(has_ended(vmm, kPoll))) return died(vmm, kDoor.program);
    if (time_left(deadline).count() == 0) {
      return fail(ErrorKind::kTimeout, "the guest does not run yet");
    }
  }
}

Result<PlacedDisk<DiskPlan>> find_disk(const model::Vm& vm, const std::string& path) {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return find_placed_disk(vm, plan.disks, path);
}

Result<void> press_power_button(const RunningVmm& vmm, Deadline deadline) {
  QmpClient client = COCOON_TRY(open_client(vmm, deadline));
  COCOON_TRY(client.execute("system_powerdown", nullptr, deadline));
  return {};
}

}  // namespace

Result<Capabilities> QemuBackend::capabilities() const {
  std::string path = COCOON_TRY(find_qemu(binary_));
  Capabilities out;
  out.version = COCOON_TRY(qemu_version(path, run_dir_));
  COCOON_TRY(check_oldest(path, out.version, kOldest));
  out.direct_boot = true;
  out.uefi = true;
  out.qcow2 = true;
  out.disk_serials = true;
  out.per_disk_direct_io = true;
  out.queue_sizes = true;
  out.hotplug = true;
  out.reboot_in_place = true;
  out.snapshots = true;
  out.incremental = true;  // each guest gets a memory file of its own, put together from all links
  out.graceful_stop = GracefulStop::kPowerButton;
  out.max_disks = kFreeSlots;
  out.max_cpus = kMaxCpus;
  out.multi_queue_nics = true;
  out.user_network = true;
  out.max_nics = model::kMaxNics;
  return out;
}

Result<Firmware> QemuBackend::firmware() const {
  // The 4 MiB code needs the 4 MiB variables; without secure boot it needs no SMM (spec 06 §6).
  Firmware firmware{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"};
  for (const auto& file : {firmware.code, firmware.variables}) {
    if (sys::exists(file)) continue;
    return fail(ErrorKind::kUnsupported, "no UEFI firmware: {} is missing; the package ovmf has it",
                file.native());
  }
  return firmware;
}

Result<model::DevicePlan> QemuBackend::plan_devices(const model::Vm& vm) const {
  Capabilities able = COCOON_TRY(capabilities());
  Plan plan = COCOON_TRY(make_plan(vm, able.version), "plan the devices");
  return plan_to_json(plan);
}

Result<model::DevicePlan> QemuBackend::replan_nics(const model::Vm& vm) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return plan_to_json(COCOON_TRY(qemu::replan_nics(plan, vm), "plan the NICs"));
}

Result<model::DevicePlan> QemuBackend::replan_disks(const model::Vm& vm) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return plan_to_json(COCOON_TRY(qemu::replan_disks(plan, vm), "plan the disks"));
}

Result<model::DevicePlan> QemuBackend::replan_size(const model::Vm& vm) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  return plan_to_json(COCOON_TRY(qemu::replan_size(plan, vm), "plan vCPUs and memory"));
}

Result<Launch> QemuBackend::plan_launch(const model::Vm& vm, Accel accel) const {
  Capabilities able = COCOON_TRY(capabilities());
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  if (able.version < plan.machine) {
    return fail(
        ErrorKind::kUnsupported,
        "the VM was made with QEMU {}.{}, but {} is installed; install that version or newer",
        plan.machine.major, plan.machine.minor, able.version.to_string());
  }
  Launch launch = COCOON_TRY(render_launch(vm, plan, accel), "plan the launch");
  launch.program = COCOON_TRY(find_qemu(binary_));
  return launch;
}

Result<void> QemuBackend::finish_start(const Launch&, const RunningVmm& vmm,
                                       Deadline deadline) const {
  auto result = wait_until_running(vmm, deadline);
  if (!result) return explain_failed_start(vmm, kDoor.program, std::move(result).error());
  return {};
}

Result<bool> QemuBackend::ask_guest_to_stop(const RunningVmm& vmm, Deadline deadline) const {
  // A connection of its own each time: QEMU serves one client, and a forced stop must get in.
  return ask_until_ended(vmm, deadline,
                         [&vmm](Deadline limit) { return press_power_button(vmm, limit); });
}

Result<void> QemuBackend::quit(const RunningVmm& vmm, Deadline deadline) const {
  auto client = open_client(vmm, deadline);
  auto answer = client ? client->execute("quit", nullptr, deadline)
                       : Result<nlohmann::json>(pass(client.error()));
  // The answer may be lost in the end that it announces.
  if (answer || sys::is_peer_gone(answer.error())) return {};
  if (COCOON_TRY(has_ended(vmm, Milliseconds(0)))) return {};
  return pass(answer.error(), "tell QEMU to quit");
}

AgentSocket QemuBackend::agent_socket() const { return {kAgentSocket, true}; }

Result<std::vector<std::string>> QemuBackend::plugged_disks(const model::Vm& vm,
                                                            const RunningVmm& vmm,
                                                            Deadline deadline) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  QmpClient client = COCOON_TRY(open_client(vmm, deadline), "ask QEMU for its disks");
  auto ids = COCOON_TRY(device_ids(client, deadline));
  std::vector<std::string> paths;
  for (const DiskPlan& disk : plan.disks) {
    if (std::find(ids.begin(), ids.end(), device_id(disk)) != ids.end()) paths.push_back(disk.path);
  }
  return paths;
}

Result<void> QemuBackend::plug_disk(const model::Vm& vm, const std::string& path,
                                    const RunningVmm& vmm, Deadline deadline) const {
  auto found = COCOON_TRY(find_disk(vm, path));
  QmpClient client = COCOON_TRY(open_client(vmm, deadline), "plug {} in", path);
  COCOON_TRY(qemu::plug_disk(client, render_node(vm, *found.disk, found.place),
                             render_device(vm, *found.disk, found.place), deadline),
             "plug {} in", path);
  return {};
}

Result<void> QemuBackend::check_unplug(const model::Vm& vm, const std::string& path) const {
  auto found = COCOON_TRY(find_disk(vm, path));
  if (found.place.port >= 0) return {};
  return fail(ErrorKind::kUnsupported,
              "{} is behind no root port, where QEMU could unplug it from a running guest "
              "(capability hotplug)",
              path);
}

Result<void> QemuBackend::unplug_disk(const model::Vm& vm, const std::string& path,
                                      const RunningVmm& vmm, Deadline deadline) const {
  COCOON_TRY(check_unplug(vm, path));
  auto found = COCOON_TRY(find_disk(vm, path));
  QmpClient client = COCOON_TRY(open_client(vmm, deadline), "unplug {}", path);
  COCOON_TRY(qemu::unplug_disk(client, device_id(found.place), found.place.node, deadline),
             "unplug {}", path);
  return {};
}

Result<void> QemuBackend::grow_disk(const model::Vm& vm, const std::string& path,
                                    std::int64_t bytes, const RunningVmm& vmm,
                                    Deadline deadline) const {
  auto found = COCOON_TRY(find_disk(vm, path));
  QmpClient client = COCOON_TRY(open_client(vmm, deadline), "grow {}", path);
  nlohmann::json arguments{{"node-name", found.place.node}, {"size", bytes}};
  COCOON_TRY(client.execute("block_resize", arguments, deadline), "grow {}", path);
  return {};
}

// Block devices are drained and flushed by it.
Result<void> QemuBackend::pause(const RunningVmm& vmm, Deadline deadline) const {
  QmpClient client = COCOON_TRY(open_client(vmm, deadline), "pause the guest");
  COCOON_TRY(client.execute("stop", nullptr, deadline), "pause the guest");
  return {};
}

Result<void> QemuBackend::resume(const RunningVmm& vmm, Deadline deadline) const {
  QmpClient client = COCOON_TRY(open_client(vmm, deadline), "resume the guest");
  COCOON_TRY(continue_guest(client, deadline), "resume the guest");
  return {};
}

Result<void> QemuBackend::save(const model::Vm&, const RunningVmm& vmm, const std::string& dir,
                               Deadline deadline) const {
  // By a descriptor: its sandbox lets QEMU start no program, and 7.2 knows no file: URI.
  sys::UniqueFd file = COCOON_TRY(sys::open_beneath(vmm.vm_dir, dir + "/" + kStateFile,
                                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600),
                                  "save the devices");
  QmpClient client = COCOON_TRY(open_client(vmm, deadline), "save the devices");
  COCOON_TRY(save_state(client, file.get(), deadline), "save the devices");
  return {};
}

Result<SavedFiles> QemuBackend::saved_files(const model::Vm&) const {
  return SavedFiles{{kStateFile}, kMemoryFile, false};
}

Result<LoadPlan> QemuBackend::plan_load(const model::Vm& vm, const SavedVm& saved, Accel accel,
                                        RestoreMode mode) const {
  if (mode != RestoreMode::kAuto && mode != RestoreMode::kCopy) {
    // A private mapping would let balloon and free page reports punch holes into the snapshot
    // (spec 06 §3.5).
    return fail(ErrorKind::kUnsupported,
                "QEMU guests get a copy of the memory (restore mode copy)");
  }
  if (saved.vm->accel != accel_name(accel)) {
    return fail(ErrorKind::kUnsupported,
                "the snapshot was taken with {}, but this host runs QEMU with {}: the processors "
                "differ",
                saved.vm->accel, accel_name(accel));
  }
  LoadPlan plan;
  plan.launch = COCOON_TRY(plan_launch(vm, accel));
  plan.launch.args.insert(plan.launch.args.end(), {"-incoming", "defer"});
  plan.mode = RestoreMode::kCopy;
  plan.links = {kStateFile};
  plan.memory_copy = kMemoryFile;
  return plan;
}

Result<void> QemuBackend::finish_load(const LoadPlan&, const RunningVmm& vmm,
                                      Deadline deadline) const {
  auto load = [&]() -> Result<void> {
    sys::UniqueFd file =
        COCOON_TRY(sys::open_beneath(vmm.vm_dir, kStateFile, O_RDONLY | O_NOFOLLOW));
    QmpClient client = COCOON_TRY(open_client(vmm, deadline));
    COCOON_TRY(load_state(client, file.get(), deadline), "load the devices");
    return continue_guest(client, deadline);
  };
  auto loaded = load();
  if (!loaded) return explain_failed_start(vmm, kDoor.program, std::move(loaded).error());
  return {};
}

Result<VmmStatus> QemuBackend::status(const RunningVmm& vmm, Deadline deadline) const {
  QmpClient client = COCOON_TRY(open_client(vmm, deadline), "ask QEMU for its status");
  return query_status(client, deadline);
}

}  // namespace cocoon::vmm::qemu
