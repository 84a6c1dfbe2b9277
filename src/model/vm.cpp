// SPDX-License-Identifier: Apache-2.0
#include "model/vm.h"

#include <algorithm>
#include <array>

#include "base/id.h"
#include "base/text.h"
#include "model/image.h"
#include "model/json_fields.h"

namespace cocoon::model {
namespace {

using nlohmann::json;

constexpr std::array kStates{VmState::kCreating, VmState::kCreated, VmState::kRunning,
                             VmState::kStopped, VmState::kError};

void put(json& out, const char* key, const std::string& value) {
  if (!value.empty()) out[key] = value;
}
template <class T>
requires std::is_integral_v<T>
void put(json& out, const char* key, T value) {
  if (value != T{}) out[key] = value;
}

json config_json(const VmConfig& config) {
  json out = {{"name", config.name}};
  put(out, "cpu", config.cpu);
  put(out, "memory", config.memory);
  put(out, "storage", config.storage);
  put(out, "queue_size", config.queue_size);
  put(out, "disk_queue_size", config.disk_queue_size);
  put(out, "image", config.image);
  put(out, "image_digest", config.image_digest);
  put(out, "image_type", config.image_type);
  put(out, "network", config.network);
  put(out, "no_direct_io", config.no_direct_io);
  put(out, "windows", config.windows);
  return out;
}

Result<VmConfig> parse_config(const json& in) {
  VmConfig config;
  Fields fields(in, "config");
  fields.get("name", config.name);
  fields.get("cpu", config.cpu);
  fields.get("memory", config.memory);
  fields.get("storage", config.storage);
  fields.get("queue_size", config.queue_size);
  fields.get("disk_queue_size", config.disk_queue_size);
  fields.get("image", config.image);
  fields.get("image_digest", config.image_digest);
  fields.get("image_type", config.image_type);
  fields.get("network", config.network);
  fields.get("no_direct_io", config.no_direct_io);
  fields.get("windows", config.windows);
  COCOON_TRY(fields.check());
  return config;
}

Result<BootConfig> parse_boot(const json& in) {
  BootConfig boot;
  Fields fields(in, "boot_config");
  fields.get("kernel", boot.kernel);
  fields.get("initrd", boot.initrd);
  fields.get("cmdline", boot.cmdline);
  fields.get("firmware", boot.firmware);
  fields.get("boot_kit", boot.boot_kit);
  fields.get("kernel_id", boot.kernel_id);
  COCOON_TRY(fields.check());
  return boot;
}

Result<RunSpec> parse_run(const json& in) {
  RunSpec run;
  Fields fields(in, "run");
  fields.get("init", run.init);
  fields.get("argv", run.argv);
  fields.get("env", run.env);
  fields.get("workdir", run.workdir);
  fields.get("user", run.user);
  COCOON_TRY(fields.check());
  return run;
}

Result<Process> parse_process(const json& in) {
  Process process;
  Fields fields(in, "vmm");
  fields.get("pid", process.pid);
  fields.get("start_time", process.start_time);
  fields.get("boot_id", process.boot_id);
  COCOON_TRY(fields.check());
  return process;
}

Result<Op> parse_op(const json& in) {
  Op op;
  Fields fields(in, "op");
  fields.get("verb", op.verb);
  fields.get("pid", op.pid);
  fields.get("start_time", op.start_time);
  fields.get("phase", op.phase);
  COCOON_TRY(fields.check());
  return op;
}

json op_json(const Op& op) {
  return {{"verb", op.verb}, {"pid", op.pid}, {"start_time", op.start_time}, {"phase", op.phase}};
}

Result<void> parse_network(const Fields& fields, Vm& vm) {
  static const json none = json::array();
  const json* nics = fields.find("network_configs");
  const json* ports = fields.find("ports");
  if ((nics != nullptr && !nics->is_array()) || (ports != nullptr && !ports->is_array())) {
    return fail(ErrorKind::kCorrupt, "network_configs or ports is not a list");
  }
  for (const json& nic : nics == nullptr ? none : *nics) {
    vm.nics.push_back(COCOON_TRY(parse_nic(nic), "NIC {}", vm.nics.size()));
  }
  for (const json& port : ports == nullptr ? none : *ports) {
    vm.ports.push_back(COCOON_TRY(parse_port_mapping(port)));
  }
  return {};
}

Result<void> parse_parts(const Fields& fields, Vm& vm) {
  if (const json* value = fields.find("config")) vm.config = COCOON_TRY(parse_config(*value));
  if (const json* value = fields.find("boot_config")) vm.boot = COCOON_TRY(parse_boot(*value));
  if (const json* value = fields.find("run")) vm.run = COCOON_TRY(parse_run(*value));
  if (const json* value = fields.find("vmm")) vm.vmm = COCOON_TRY(parse_process(*value));
  if (const json* value = fields.find("op")) vm.op = COCOON_TRY(parse_op(*value));
  if (const json* value = fields.find("device_plan")) vm.device_plan = *value;
  COCOON_TRY(parse_network(fields, vm));
  const json* disks = fields.find("storage_configs");
  if (disks == nullptr) return {};
  if (!disks->is_array()) return fail(ErrorKind::kCorrupt, "storage_configs is not a list");
  for (const json& disk : *disks) {
    vm.disks.push_back(COCOON_TRY(parse_disk(disk), "disk {}", vm.disks.size()));
  }
  return {};
}

// The keys that stored and public form share.
json common_json(const Vm& vm) {
  json out = {{"id", vm.id},
              {"state", state_name(vm.state)},
              {"config", config_json(vm.config)},
              {"first_booted", vm.first_booted},
              {"created_at", vm.created_at},
              {"updated_at", vm.updated_at}};
  put(out, "hypervisor", vm.hypervisor);
  put(out, "started_at", vm.started_at);
  put(out, "stopped_at", vm.stopped_at);
  put(out, "accel", vm.accel);
  put(out, "uid", vm.uid);
  if (!vm.nics.empty()) out["network_configs"] = vm.nics;
  if (!vm.ports.empty()) out["ports"] = vm.ports;
  out["exit_code"] = vm.exit_code ? json(*vm.exit_code) : json(nullptr);
  return out;
}

}  // namespace

std::string_view state_name(VmState state) {
  switch (state) {
    case VmState::kCreating:
      return "creating";
    case VmState::kCreated:
      return "created";
    case VmState::kRunning:
      return "running";
    case VmState::kStopped:
      return "stopped";
    case VmState::kError:
      return "error";
  }
  return "";
}

Result<VmState> parse_state(std::string_view text) {
  for (VmState state : kStates) {
    if (state_name(state) == text) return state;
  }
  return fail(ErrorKind::kCorrupt, "unknown VM state \"{}\"", text);
}

Result<void> check_transition(VmState from, VmState to) {
  bool allowed = false;
  switch (from) {
    case VmState::kCreating:
      allowed = to == VmState::kCreated || to == VmState::kRunning;
      break;
    case VmState::kCreated:
    case VmState::kStopped:
    case VmState::kError:
      // A start that fails leaves `error`; one that works leaves `running`.
      allowed = to == VmState::kRunning || to == VmState::kError;
      break;
    case VmState::kRunning:
      allowed = to == VmState::kStopped || to == VmState::kError;
      break;
  }
  if (allowed) return {};
  return fail(ErrorKind::kWrongState, "a VM that is {} cannot become {}", state_name(from),
              state_name(to));
}

json to_stored_json(const Vm& vm) {
  json out = common_json(vm);
  out["storage_configs"] = vm.disks;
  out["boot_config"] = {{"kernel", vm.boot.kernel},     {"initrd", vm.boot.initrd},
                        {"cmdline", vm.boot.cmdline},   {"firmware", vm.boot.firmware},
                        {"boot_kit", vm.boot.boot_kit}, {"kernel_id", vm.boot.kernel_id}};
  out["run"] = {{"init", vm.run.init},
                {"argv", vm.run.argv},
                {"env", vm.run.env},
                {"workdir", vm.run.workdir},
                {"user", vm.run.user}};
  out["vmm"] = {
      {"pid", vm.vmm.pid}, {"start_time", vm.vmm.start_time}, {"boot_id", vm.vmm.boot_id}};
  out["device_plan"] = vm.device_plan;
  put(out, "memory_backing", vm.memory_backing);
  put(out, "nonce", vm.nonce);
  put(out, "exit_reason", vm.exit_reason);
  put(out, "hibernation", vm.hibernation);
  put(out, "restore_mode", vm.restore_mode);
  if (vm.op) out["op"] = op_json(*vm.op);
  return out;
}

Result<Vm> parse_vm(const json& in) {
  Vm vm;
  std::string state;
  int exit_code = 0;
  Fields fields(in, "VM record");
  fields.get("id", vm.id);
  fields.get("hypervisor", vm.hypervisor);
  fields.get("state", state);
  fields.get("memory_backing", vm.memory_backing);
  fields.get("first_booted", vm.first_booted);
  fields.get("uid", vm.uid);
  fields.get("nonce", vm.nonce);
  fields.get("accel", vm.accel);
  fields.get("created_at", vm.created_at);
  fields.get("updated_at", vm.updated_at);
  fields.get("started_at", vm.started_at);
  fields.get("stopped_at", vm.stopped_at);
  fields.get("exit_code", exit_code);
  fields.get("exit_reason", vm.exit_reason);
  fields.get("hibernation", vm.hibernation);
  fields.get("restore_mode", vm.restore_mode);
  COCOON_TRY(fields.check());
  if (fields.find("exit_code") != nullptr) vm.exit_code = exit_code;
  vm.state = COCOON_TRY(parse_state(state));
  COCOON_TRY(parse_parts(fields, vm), "VM record {}", vm.id);
  return vm;
}

namespace {

// Its cloud-init mounts the data disks; Windows has none.
Result<void> validate_cloud_mounts(const Vm& vm) {
  if (vm.config.image_type != kCloudImage || vm.config.windows) return {};
  for (const Disk& disk : vm.disks) {
    if (disk.mount_point.empty()) continue;
    COCOON_TRY(check_fstab_mount(disk.mount_point), "data disk \"{}\"", disk.serial);
  }
  return {};
}

// It becomes an argument of the VMM.
Result<void> validate_cmdline(std::string_view line) {
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::none_of(line.begin(), line.end(), is_control)) return {};
  return fail(ErrorKind::kInvalid, "the kernel command line \"{}\" has control characters",
              escape_controls(line));
}

}  // namespace

Result<void> validate(const Vm& vm) {
  if (!is_id(vm.id)) return fail(ErrorKind::kCorrupt, "\"{}\" is not a VM ID", vm.id);
  COCOON_TRY(check_vm_name(vm.config.name));
  if (vm.config.cpu < 1) return fail(ErrorKind::kInvalid, "cpu {} is below 1", vm.config.cpu);
  if (vm.config.memory < kMinMemory) {
    return fail(ErrorKind::kInvalid, "memory {} is below the minimum of 512 MiB", vm.config.memory);
  }
  if (vm.config.storage < kMinStorage) {
    return fail(ErrorKind::kInvalid, "storage {} is below the minimum of 10 GB", vm.config.storage);
  }
  if (vm.boot.kernel.empty() == vm.boot.firmware.empty() && !vm.disks.empty()) {
    return fail(ErrorKind::kInvalid, "a VM boots either a kernel or a firmware");
  }
  COCOON_TRY(validate_cmdline(vm.boot.cmdline));
  COCOON_TRY(validate_nics(vm.nics));
  COCOON_TRY(validate_ports(vm.ports));
  if (!vm.ports.empty() && vm.nics.empty()) {
    return fail(ErrorKind::kInvalid, "published ports without a NIC");
  }
  COCOON_TRY(validate_disks(vm.disks));
  return validate_cloud_mounts(vm);
}

json to_public_json(const Vm& vm, const std::string& vm_dir) {
  json out = common_json(vm);
  out["pid"] = vm.state == VmState::kRunning ? vm.vmm.pid : 0;
  if (vm.state == VmState::kRunning) {
    out["socket_path"] = vm_dir + (vm.hypervisor == "qemu" ? "/sock/qmp" : "/sock/api");
  }
  if (!vm.exit_reason.empty() || vm.exit_code) {
    out["exit"] = {{"reason", vm.exit_reason},
                   {"code", vm.exit_code ? json(*vm.exit_code) : json(nullptr)}};
  } else {
    out["exit"] = nullptr;
  }
  out["op"] = vm.op ? op_json(*vm.op) : json(nullptr);
  json disks = json::array();
  for (Disk disk : vm.disks) {
    disk.path = vm_dir + "/" + disk.path;
    disk.blob.clear();
    if (!disk.backing.empty()) disk.backing = vm_dir + "/" + disk.backing;
    disks.push_back(disk);
  }
  out["storage_configs"] = disks;
  put(out, "memory_backing", vm.memory_backing);
  if (vm.state == VmState::kRunning) put(out, "restore_mode", vm.restore_mode);
  if (!vm.hibernation.empty()) {
    out["hibernated"] = true;
    out["hibernation_snapshot"] = vm.hibernation;
  }
  return out;
}

Result<void> check_vm_name(std::string_view name) {
  auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  bool good = !name.empty() && name.size() <= 63 && letter_or_digit(name[0]) &&
              std::all_of(name.begin(), name.end(), [&](char c) {
                return letter_or_digit(c) || c == '.' || c == '_' || c == '-';
              });
  if (good) return {};
  return fail(
      ErrorKind::kInvalid,
      "invalid VM name \"{}\": 1 to 63 letters, digits, '.', '_', '-', the first a letter or "
      "digit",
      name);
}

std::string backend_directory(std::string_view hypervisor) {
  return hypervisor == "cloud-hypervisor" ? "cloudhypervisor" : std::string(hypervisor);
}

}  // namespace cocoon::model
