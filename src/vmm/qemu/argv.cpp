// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/argv.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "vmm/cmdline.h"
#include "vmm/vm_uuid.h"

namespace cocoon::vmm::qemu {
namespace {

using Args = std::vector<std::string>;

// Serial, UART 0x3f8: the only console that shows a guest from its first kernel line on.
constexpr std::string_view kConsole = "ttyS0";
// MiB of translated code that software emulation keeps per VM. QEMU's own default is 1 GiB.
constexpr int kTranslationBuffer = 64;
// With "enhanced rep movsb" announced Linux copies memory byte by byte, which a processor does in
// blocks and software emulation does byte by byte: pipes are three times and reads of /dev/zero
// five times as fast without (QEMU 7.2). Nothing else depends on these two bits.
constexpr std::string_view kNoByteCopies = ",erms=off,fsrm=off";

void add(Args& args, const char* option, std::string value) {
  args.emplace_back(option);
  args.push_back(std::move(value));
}

void add_machine(Args& args, const model::Vm& vm, const Plan& plan, Accel accel,
                 const std::string& uuid) {
  add(args, "-name", vm.id);
  add(args, "-uuid", uuid);
  std::string_view flash = vm.boot.firmware.empty() ? "" : ",pflash0=flash0,pflash1=flash1";
  add(args, "-machine",
      fmt::format("{},memory-backend=ram0,usb=off,vmport=off,smbus=off,sata=off,"
                  "dump-guest-core=off{}",
                  plan.machine_type(), flash));
  add(args, "-accel",
      accel == Accel::kKvm ? "kvm" : fmt::format("tcg,tb-size={}", kTranslationBuffer));
  add(args, "-cpu",
      fmt::format("{}{}", plan.cpu(accel), accel == Accel::kTcg ? kNoByteCopies : ""));
  add(args, "-smp", std::to_string(plan.vcpus));
  std::int64_t mebibytes = plan.memory / kMiB;
  add(args, "-m", fmt::format("{}M", mebibytes));
  // A shared file from the first boot on, or nothing could be snapshotted later.
  add(args, "-object",
      fmt::format("memory-backend-file,id=ram0,size={}M,mem-path={},share=on", mebibytes,
                  kMemoryFile));
}

void add_confinement(Args& args) {
  args.insert(args.end(), {"-nodefaults", "-no-user-config"});
  add(args, "-display", "none");
  add(args, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
  // A guest that panics ends the VMM with status 1, which is what tells it from a power-off.
  // Reboots stay in place (no -no-reboot).
  add(args, "-action", "panic=exit-failure");
}

void add_control(Args& args) {
  add(args, "-chardev", fmt::format("socket,id=mon,path={},server=on,wait=off", kQmpSocket));
  add(args, "-mon", "chardev=mon,mode=control");
  // signal=off: a Ctrl-C byte belongs to the guest.
  add(args, "-chardev", "stdio,id=con,signal=off");
  add(args, "-serial", "chardev:con");
}

// The firmware in flash: its code, shared between VMs, and this VM's variables.
void add_flash(Args& args, const model::Vm& vm) {
  nlohmann::ordered_json code{
      {"driver", "file"}, {"filename", vm.boot.firmware}, {"read-only", true}, {"locking", "off"}};
  nlohmann::ordered_json variables{{"driver", "file"}, {"filename", kVariablesFile}};
  nlohmann::ordered_json flash0{
      {"node-name", "flash0"}, {"driver", "raw"}, {"read-only", true}, {"file", std::move(code)}};
  nlohmann::ordered_json flash1{
      {"node-name", "flash1"}, {"driver", "raw"}, {"file", std::move(variables)}};
  add(args, "-blockdev", flash0.dump());
  add(args, "-blockdev", flash1.dump());
}

Result<void> add_boot(Args& args, const model::Vm& vm, Accel accel) {
  if (!vm.boot.firmware.empty()) {
    add_flash(args, vm);
    return {};
  }
  if (vm.boot.kernel.empty()) return fail(ErrorKind::kInvalid, "the VM has no kernel");
  std::string cmdline = vm.boot.cmdline;
  if (vm.boot.boot_kit) {
    cmdline = boot_kit_cmdline(kConsole) + boot_kit_nic_arguments(vm);
    // On a busy host the emulated timer looks broken to a kernel that checks it, which panics. With
    // KVM the kernel does not check.
    if (accel == Accel::kTcg) cmdline += " no_timer_check";
  } else if (cmdline.empty()) {
    cmdline = COCOON_TRY(image_cmdline(vm, kConsole));
  }
  add(args, "-kernel", vm.boot.kernel);
  if (!vm.boot.initrd.empty()) add(args, "-initrd", vm.boot.initrd);
  add(args, "-append", std::move(cmdline));
  return {};
}

// The file below an overlay, named here: what the overlay's header says of it does not count.
nlohmann::ordered_json render_backing(const model::Disk& disk) {
  return {
      {"driver", "raw"},
      {"read-only", true},
      {"file",
       {{"driver", "file"}, {"filename", disk.backing}, {"read-only", true}, {"locking", "off"}}}};
}

}  // namespace

nlohmann::ordered_json render_node(const model::Vm& vm, const model::Disk& disk,
                                   const DiskPlan& plan) {
  nlohmann::ordered_json file{{"driver", "file"}, {"filename", disk.path}};
  nlohmann::ordered_json node{{"node-name", plan.node},
                              {"driver", disk.backing.empty() ? "raw" : "qcow2"}};
  if (disk.read_only) {
    node["read-only"] = true;
    file["read-only"] = true;
    // Shared with other VMs and other VMMs, whose own locks would exclude ours. Nobody writes it.
    file["locking"] = "off";
  } else {
    node["discard"] = "unmap";
    file["discard"] = "unmap";
  }
  if (disk.direct_io.value_or(!disk.read_only && !vm.config.no_direct_io)) {
    node["cache"] = {{"direct", true}};
    file["cache"] = {{"direct", true}};
  }
  node["file"] = std::move(file);
  if (!disk.backing.empty()) node["backing"] = render_backing(disk);
  return node;
}

nlohmann::ordered_json render_device(const model::Vm& vm, const model::Disk& disk,
                                     const DiskPlan& plan) {
  nlohmann::ordered_json device{{"driver", "virtio-blk-pci"}, {"id", device_id(plan)}};
  device["drive"] = plan.node;
  if (!disk.serial.empty()) device["serial"] = disk.serial;
  device["num-queues"] = plan.queues;
  device["queue-size"] = plan.queue_size;
  if (plan.port >= 0) {
    device["bus"] = fmt::format("rp{}", plan.port);
  } else {
    device["bus"] = "pcie.0";
    device["addr"] = fmt::format("{:#x}", plan.slot);
  }
  if (!vm.boot.firmware.empty() && disk.role == model::DiskRole::kCow) device["bootindex"] = 0;
  return device;
}

std::string device_id(const DiskPlan& plan) { return "disk-" + plan.node; }

namespace {

// A value of QEMU's key=value syntax, where a comma has to be doubled.
std::string escape_value(std::string_view text) {
  std::string out;
  for (char c : text) {
    out += c;
    if (c == ',') out += ',';
  }
  return out;
}

// {"driver":"x","id":"y"} -> "x,id=y".
std::string device_option(const nlohmann::ordered_json& device) {
  std::string out;
  for (const auto& [key, value] : device.items()) {
    std::string text =
        value.is_string() ? escape_value(value.get_ref<const std::string&>()) : value.dump();
    out += key == "driver" ? text : fmt::format(",{}={}", key, text);
  }
  return out;
}

Result<void> add_disks(Args& args, const model::Vm& vm, const Plan& plan) {
  if (vm.disks.size() != plan.disks.size()) {
    return fail(ErrorKind::kCorrupt, "{} disks, but the device plan has {}", vm.disks.size(),
                plan.disks.size());
  }
  for (std::size_t index = 0; index < vm.disks.size(); ++index) {
    const model::Disk& disk = vm.disks[index];
    const DiskPlan& place = plan.disks[index];
    if (disk.path != place.path) {
      return fail(ErrorKind::kCorrupt, "disk \"{}\", but the device plan has \"{}\"", disk.path,
                  place.path);
    }
    add(args, "-blockdev", render_node(vm, disk, place).dump());
    add(args, "-device", device_option(render_device(vm, disk, place)));
  }
  return {};
}

std::string render_netdev(const model::Nic& nic, std::size_t index) {
  if (nic.backend == model::kUserNic) {
    return fmt::format("stream,id=net{0},server=off,addr.type=unix,addr.path={1}{0}", index,
                       kUserSocket);
  }
  // The TAP is the VMM's own (its uid) in the namespace that the VMM is started in.
  int pairs = nic.queue_pairs();
  return fmt::format("tap,id=net{},ifname={},script=no,downscript=no,vhost=off{}", index, nic.tap,
                     pairs > 1 ? fmt::format(",queues={}", pairs) : "");
}

Result<void> add_nics(Args& args, const model::Vm& vm, const Plan& plan) {
  if (vm.nics.size() != plan.nics.size()) {
    return fail(ErrorKind::kCorrupt, "{} NICs, but the device plan has {}", vm.nics.size(),
                plan.nics.size());
  }
  for (std::size_t index = 0; index < vm.nics.size(); ++index) {
    const model::Nic& nic = vm.nics[index];
    const NicPlan& place = plan.nics[index];
    if (nic.queue_pairs() != place.queue_pairs) {
      return fail(ErrorKind::kCorrupt, "NIC {} with {} queue pairs, but the device plan has {}",
                  index, nic.queue_pairs(), place.queue_pairs);
    }
    std::string queues =
        place.queue_pairs > 1 ? fmt::format(",mq=on,vectors={}", 2 * place.queue_pairs + 2) : "";
    std::string mtu = nic.mtu > 0 ? fmt::format(",host_mtu={}", nic.mtu) : "";
    add(args, "-netdev", render_netdev(nic, index));
    // No option ROM: it would be RAM in the migration stream.
    add(args, "-device",
        fmt::format("virtio-net-pci,id=nic{0},netdev=net{0},mac={1}{2}{3},rx_queue_size={4},"
                    "romfile=,bus=pcie.0,addr={5:#x}",
                    index, nic.mac, queues, mtu, place.queue_size, place.slot));
  }
  return {};
}

// Ports for disks and NICs that come later: pcie.0 itself takes no hot-plug.
void add_root_ports(Args& args, const Plan& plan) {
  for (int port = 0; port < plan.root_ports; ++port) {
    add(args, "-device",
        fmt::format("pcie-root-port,id=rp{0},bus=pcie.0,addr={1:#x}.{0},chassis={2}{3}", port,
                    kRootPortSlot, port + 1, port == 0 ? ",multifunction=on" : ""));
  }
}

void add_fixed_devices(Args& args) {
  add(args, "-device",
      fmt::format("virtio-serial-pci,id=vser,max_ports=4,bus=pcie.0,addr={:#x}", kSerialBusSlot));
  add(args, "-chardev", fmt::format("socket,id=agent,path={},server=on,wait=off", kAgentSocket));
  add(args, "-device",
      fmt::format("virtserialport,id=agent0,bus=vser.0,nr=1,chardev=agent,name={}", kAgentPort));
  add(args, "-device", fmt::format("virtio-rng-pci,id=rng0,bus=pcie.0,addr={:#x}", kRngSlot));
  add(args, "-device",
      fmt::format("virtio-balloon-pci,id=balloon0,free-page-reporting=on,deflate-on-oom=on,"
                  "bus=pcie.0,addr={:#x}",
                  kBalloonSlot));
  add(args, "-device", "pvpanic");  // ISA: takes no slot
  add(args, "-device", "vmgenid,guid=auto");
}

}  // namespace

Result<Launch> render_launch(const model::Vm& vm, const Plan& plan, Accel accel) {
  Launch launch;
  Args& args = launch.args;
  std::string uuid = COCOON_TRY(vm_uuid(vm.id));
  add_machine(args, vm, plan, accel, uuid);
  add_confinement(args);
  add_control(args);
  COCOON_TRY(add_boot(args, vm, accel));
  add_root_ports(args, plan);
  COCOON_TRY(add_disks(args, vm, plan));
  COCOON_TRY(add_nics(args, vm, plan));
  add_fixed_devices(args);
  launch.memory_file_bytes = plan.memory;
  launch.sockets = {kQmpSocket, kAgentSocket};
  launch.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"};
  return launch;
}

}  // namespace cocoon::vmm::qemu
