// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/payload.h"

#include "vmm/cloud_hypervisor/version.h"
#include "vmm/cmdline.h"
#include "vmm/vm_uuid.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kConsole = "hvc0";

bool boots_firmware(const model::Vm& vm) { return !vm.boot.firmware.empty(); }

Result<Json> render_payload(const model::Vm& vm) {
  if (boots_firmware(vm)) return Json{{"firmware", vm.boot.firmware}};
  if (vm.boot.kernel.empty()) return fail(ErrorKind::kInvalid, "the VM has no kernel");
  std::string cmdline = vm.boot.cmdline;
  if (vm.boot.boot_kit) {
    cmdline = boot_kit_cmdline(kConsole) + boot_kit_nic_arguments(vm);
  } else if (cmdline.empty()) {
    cmdline = COCOON_TRY(image_cmdline(vm, kConsole));
  }
  Json payload{{"kernel", vm.boot.kernel}};
  if (!vm.boot.initrd.empty()) payload["initramfs"] = vm.boot.initrd;
  payload["cmdline"] = std::move(cmdline);
  return payload;
}

Json render_cpus(const model::Vm& vm, const Plan& plan) {
  // No more vCPUs than run: room for others costs ACPI tables and nothing adds any. No guests
  // inside the guest unless somebody asks for them.
  Json cpus{{"boot_vcpus", plan.vcpus}, {"max_vcpus", plan.vcpus}, {"nested", false}};
  if (vm.config.windows) cpus["kvm_hyperv"] = true;
  return cpus;
}

// Anonymous memory, or one zone in a shared file of the VM directory, from which snapshots are made
// without writing memory (spec 04 §20).
Json render_memory(const model::Vm& vm, const Plan& plan, const Host& host) {
  if (vm.memory_backing == "file") {
    Json zone{{"id", "ram"}, {"size", plan.memory}, {"file", kMemoryFile}, {"shared", true}};
    return {{"size", 0}, {"zones", Json::array({std::move(zone)})}};
  }
  Json memory{{"size", plan.memory}};
  if (host.huge_page_size > 0) {
    memory["hugepages"] = true;
    // Else it is read from a mounted /dev/hugepages, which need not be there.
    memory["hugepage_size"] = host.huge_page_size;
    // Or a shortage would kill the guest in the middle of its work.
    if (host.version >= kReservesMemory) memory["reserve"] = true;
  }
  return memory;
}

}  // namespace

Json render_disk(const model::Vm& vm, const model::Disk& disk, const DiskPlan& plan) {
  Json json{{"path", disk.path}, {"id", plan.id}};
  bool overlay = !disk.backing.empty();
  json["image_type"] = overlay ? "Qcow2" : "Raw";
  if (overlay) json["backing_files"] = true;
  if (disk.read_only) json["readonly"] = true;
  if (!overlay) json["sparse"] = !disk.read_only;  // discards make holes; on by default
  if (disk.direct_io.value_or(!disk.read_only && !vm.config.no_direct_io)) json["direct"] = true;
  if (!disk.serial.empty()) json["serial"] = disk.serial;
  json["num_queues"] = plan.queues;
  json["queue_size"] = plan.queue_size;
  return json;
}

namespace {

Result<Json> render_disks(const model::Vm& vm, const Plan& plan) {
  if (vm.disks.size() != plan.disks.size()) {
    return fail(ErrorKind::kCorrupt, "{} disks, but the device plan has {}", vm.disks.size(),
                plan.disks.size());
  }
  Json disks = Json::array();
  for (std::size_t index = 0; index < vm.disks.size(); ++index) {
    const model::Disk& disk = vm.disks[index];
    const DiskPlan& place = plan.disks[index];
    if (disk.path != place.path) {
      return fail(ErrorKind::kCorrupt, "disk \"{}\", but the device plan has \"{}\"", disk.path,
                  place.path);
    }
    disks.push_back(render_disk(vm, disk, place));
  }
  return disks;
}

// The TAP is the VMM's own (its uid), up already, in the namespace that it is started in. The MTU
// is the TAP's: to set one takes rights that the VMM has not, and Cloud Hypervisor tells the guest
// the TAP's by itself.
Result<Json> render_nics(const model::Vm& vm, const Plan& plan) {
  if (vm.nics.size() != plan.nics.size()) {
    return fail(ErrorKind::kCorrupt, "{} NICs, but the device plan has {}", vm.nics.size(),
                plan.nics.size());
  }
  Json nics = Json::array();
  for (std::size_t index = 0; index < vm.nics.size(); ++index) {
    const model::Nic& nic = vm.nics[index];
    const NicPlan& place = plan.nics[index];
    if (nic.queue_pairs() != place.queue_pairs) {
      return fail(ErrorKind::kCorrupt, "NIC {} with {} queue pairs, but the device plan has {}",
                  index, nic.queue_pairs(), place.queue_pairs);
    }
    nics.push_back({{"id", fmt::format("net{}", index)},
                    {"tap", nic.tap},
                    {"mac", nic.mac},
                    {"num_queues", 2 * place.queue_pairs},
                    {"queue_size", place.queue_size},
                    {"offload_tso", true},
                    {"offload_ufo", true},
                    {"offload_csum", true}});
  }
  return nics;
}

// Firmware and boot loaders speak to a serial port, a kernel of ours to the virtio console.
void add_console(Json& config, const model::Vm& vm) {
  Json on{{"mode", "Tty"}};
  Json off{{"mode", "Off"}};
  config["serial"] = boots_firmware(vm) ? on : off;
  config["console"] = boots_firmware(vm) ? off : on;
}

void add_confinement(Json& config, const Host& host) {
  if (!host.landlock) return;
  // Its working directory is all that it needs; later disks and saves lie there as well.
  config["landlock_enable"] = true;
  config["landlock_rules"] = Json::array({Json{{"path", "."}, {"access", "rw"}}});
}

}  // namespace

Result<Json> render_vm_config(const model::Vm& vm, const Plan& plan, const Host& host) {
  Json config;
  config["payload"] = COCOON_TRY(render_payload(vm));
  config["cpus"] = render_cpus(vm, plan);
  config["memory"] = render_memory(vm, plan, host);
  config["disks"] = COCOON_TRY(render_disks(vm, plan));
  Json nics = COCOON_TRY(render_nics(vm, plan));
  if (!nics.empty()) config["net"] = std::move(nics);
  config["rng"] = {{"src", "/dev/urandom"}};
  if (!vm.config.windows) {
    // It takes no memory from the guest; free pages come back by reports of the guest itself.
    config["balloon"] = {{"size", 0}, {"deflate_on_oom", true}, {"free_page_reporting", true}};
  }
  if (plan.vsock) config["vsock"] = {{"cid", kGuestCid}, {"socket", kVsockSocket}};
  add_console(config, vm);
  config["watchdog"] = true;
  std::string uuid = COCOON_TRY(vm_uuid(vm.id));
  config["platform"] = {{host.version >= kReservesMemory ? "system_uuid" : "uuid", uuid}};
  add_confinement(config, host);
  return config;
}

Result<Launch> render_launch(const model::Vm& vm, const Plan& plan, const Host& host) {
  Launch launch;
  launch.args = {"--api-socket", fmt::format("path={}", kApiSocket), "--seccomp", "true"};
  launch.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"};
  launch.sockets = {kApiSocket, fmt::format("{}.lock", kApiSocket), kVsockSocket};
  if (vm.memory_backing == "file") launch.memory_file_bytes = plan.memory;
  Json config = COCOON_TRY(render_vm_config(vm, plan, host));
  launch.api_socket = kApiSocket;
  launch.calls = {{"PUT", "/api/v1/vm.create", std::move(config)},
                  {"PUT", "/api/v1/vm.boot", nullptr}};
  return launch;
}

}  // namespace cocoon::vmm::cloud_hypervisor
