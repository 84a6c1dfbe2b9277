// SPDX-License-Identifier: Apache-2.0
#include "vmm/firecracker/payload.h"

#include "base/units.h"
#include "vmm/cmdline.h"

namespace cocoon::vmm::firecracker {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kConsole = "ttyS0";
// reboot=k: a reboot through the keyboard controller is what ends Firecracker. The rest keeps the
// kernel from looking for devices that are not there.
constexpr std::string_view kRebootByKeyboard = " reboot=k";
constexpr std::string_view kFewDevices = " i8042.noaux 8250.nr_uarts=1";
// " pci=off", and " virtio_mmio.device=4K@0xd0001000:5" for each device.
constexpr std::size_t kAppended = 8 + 40 * kMaxDevices;

void put(Launch& launch, std::string path, Json body) {
  launch.calls.push_back({"PUT", std::move(path), std::move(body)});
}

Result<void> add_boot(Launch& launch, const model::Vm& vm) {
  if (vm.boot.kernel.empty()) return fail(ErrorKind::kInvalid, "the VM has no kernel");
  Json source{{"kernel_image_path", vm.boot.kernel}};
  if (!vm.boot.initrd.empty()) source["initrd_path"] = vm.boot.initrd;
  source["boot_args"] = COCOON_TRY(render_boot_args(vm));
  put(launch, "/boot-source", std::move(source));
  return {};
}

Json render_drive(const model::Disk& disk, const DrivePlan& plan, const HostFacts& host) {
  Json drive{{"drive_id", plan.id},
             {"path_on_host", disk.path},
             {"is_root_device", false},
             {"is_read_only", disk.read_only}};
  if (disk.read_only) return drive;
  // Without it a guest's flush is no flush.
  drive["cache_type"] = "Writeback";
  drive["io_engine"] = host.async_io ? "Async" : "Sync";
  return drive;
}

Result<void> add_drives(Launch& launch, const model::Vm& vm, const Plan& plan,
                        const HostFacts& host) {
  if (vm.disks.size() != plan.drives.size()) {
    return fail(ErrorKind::kCorrupt, "{} disks, but the device plan has {}", vm.disks.size(),
                plan.drives.size());
  }
  for (std::size_t index = 0; index < vm.disks.size(); ++index) {
    const model::Disk& disk = vm.disks[index];
    const DrivePlan& drive = plan.drives[index];
    if (disk.path != drive.path) {
      return fail(ErrorKind::kCorrupt, "disk \"{}\", but the device plan has \"{}\"", disk.path,
                  drive.path);
    }
    put(launch, "/drives/" + drive.id, render_drive(disk, drive, host));
    if (!disk.read_only) launch.lock_files.push_back(disk.path);
  }
  return {};
}

// The TAP is the VMM's own (its uid) in the namespace that it is started in. The guest learns of an
// MTU from its boot configuration.
Result<void> add_nics(Launch& launch, const model::Vm& vm, const Plan& plan) {
  if (vm.nics.size() != plan.nics) {
    return fail(ErrorKind::kCorrupt, "{} NICs, but the device plan has {}", vm.nics.size(),
                plan.nics);
  }
  for (std::size_t index = 0; index < vm.nics.size(); ++index) {
    const model::Nic& nic = vm.nics[index];
    std::string id = fmt::format("eth{}", index);
    put(launch, "/network-interfaces/" + id,
        {{"iface_id", id}, {"host_dev_name", nic.tap}, {"guest_mac", nic.mac}});
  }
  return {};
}

void add_fixed_devices(Launch& launch) {
  // Inflates nothing; it is there to give back what the guest has freed.
  put(launch, "/balloon",
      {{"amount_mib", 0}, {"deflate_on_oom", true}, {"free_page_reporting", true}});
  put(launch, "/entropy", Json::object());
  put(launch, "/vsock", {{"guest_cid", kGuestCid}, {"uds_path", kVsockSocket}});
}

// Its state names files in a form that only Firecracker can read, and a snapshot may come from
// elsewhere, or be of a VM that did (design decision 8). So no launch lets it see more than it
// needs.
void hide_host(Launch& launch, const HostFacts& host) {
  launch.private_root = true;
  launch.shown = {"/dev/kvm", "/dev/net/tun", "/dev/urandom"};
  if (!host.needs_loader) return;
  for (const char* path : {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"})
    launch.shown.emplace_back(path);
}

}  // namespace

Result<std::string> render_boot_args(const model::Vm& vm) {
  std::string line = vm.boot.cmdline;
  if (vm.boot.boot_kit) {
    line = boot_kit_cmdline(kConsole) + boot_kit_nic_arguments(vm);
  } else if (line.empty()) {
    line = COCOON_TRY(image_cmdline(vm, kConsole, DiskNames::kOrder));
    line += kRebootByKeyboard;
  }
  line += kFewDevices;
  if (line.size() + kAppended > kMaxCmdline) {
    return fail(ErrorKind::kInvalid,
                "the kernel command line has {} bytes; {} is the limit, and Firecracker appends {}",
                line.size(), kMaxCmdline, kAppended);
  }
  return line;
}

Result<Launch> render_launch(const model::Vm& vm, const Plan& plan, const HostFacts& host) {
  Launch launch;
  // Descriptor 2 is vmm.log. Without --log-path the log would go between the guest's own words.
  launch.args = {"--id",    vm.id,    "--api-sock", kApiSocket, "--log-path", "/proc/self/fd/2",
                 "--level", "Warning"};
  launch.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"};
  launch.sockets = {kApiSocket, kVsockSocket};
  launch.api_socket = kApiSocket;
  launch.ends_by_reboot = true;
  hide_host(launch, host);
  // Small pages: a memory image of huge ones could not be loaded again.
  put(launch, "/machine-config",
      {{"vcpu_count", plan.vcpus}, {"mem_size_mib", plan.memory / kMiB}, {"huge_pages", "None"}});
  COCOON_TRY(add_boot(launch, vm));
  COCOON_TRY(add_drives(launch, vm, plan, host));
  COCOON_TRY(add_nics(launch, vm, plan));
  add_fixed_devices(launch);
  put(launch, "/actions", {{"action_type", "InstanceStart"}});
  return launch;
}

}  // namespace cocoon::vmm::firecracker
