// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/saved_config.h"

#include <algorithm>
#include <cctype>

#include "vmm/cloud_hypervisor/members.h"
#include "vmm/cloud_hypervisor/payload.h"
#include "vmm/cloud_hypervisor/snapshot.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using nlohmann::json;
using Json = nlohmann::ordered_json;

constexpr const char* kFile = "config.json";
constexpr std::uint64_t kMaxNumber = UINT64_MAX;

bool boots_firmware(const model::Vm& vm) { return !vm.boot.firmware.empty(); }

std::string part(std::string_view name) { return fmt::format("{}: {}", kFile, name); }

// "_vsock5", "net0": letters, digits, '_' and '-' behind one of the leads.
bool is_id(std::string_view id, std::initializer_list<std::string_view> leads) {
  constexpr std::size_t kMaxId = 63;
  auto good = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
  };
  return id.size() <= kMaxId && std::all_of(id.begin(), id.end(), good) &&
         std::any_of(leads.begin(), leads.end(),
                     [id](std::string_view lead) { return id.starts_with(lead); });
}

// Where every device may be put, as all of ours are.
void check_place(Members& members) {
  members.same_or_absent("pci_segment", 0);
  members.same_or_absent("iommu", false);
}

Result<void> check_payload(const json& object, const model::Vm& vm) {
  Members members(object, part("payload"));
  if (boots_firmware(vm)) {
    members.same("firmware", vm.boot.firmware);
  } else {
    members.same("kernel", vm.boot.kernel);
  }
  if (!vm.boot.initrd.empty()) members.same("initramfs", vm.boot.initrd);
  // The guest that goes on gets one of its own.
  members.text("cmdline");
  return members.finish();
}

Result<void> keep_topology(SavedConfig& saved, const json& object) {
  Members members(object, part("cpus.topology"));
  Json kept;
  for (const char* key : {"threads_per_core", "cores_per_die", "dies_per_package", "packages"}) {
    kept[key] = members.number(key, kMaxCpus, 1);
  }
  saved.cpus["topology"] = std::move(kept);
  return members.finish();
}

Result<void> keep_cpus(SavedConfig& saved, const json& object, const model::Vm& vm,
                       const Plan& plan) {
  Members members(object, part("cpus"));
  members.same("boot_vcpus", plan.vcpus);
  saved.cpus["max_vcpus"] = members.number("max_vcpus", kMaxCpus, 0);
  if (saved.cpus["max_vcpus"] < plan.vcpus) members.refuse("max_vcpus", "is less than boot_vcpus");
  members.same_or_absent("kvm_hyperv", vm.config.windows);
  saved.cpus["nested"] = members.flag("nested", true);  // on where it is not written
  constexpr std::uint64_t kWidestAddress = 64;
  if (auto bits = members.number("max_phys_bits", kWidestAddress)) {
    saved.cpus["max_phys_bits"] = bits;
  }
  if (members.find("features") != nullptr) {
    Members features(members.object("features"), part("cpus.features"));
    saved.cpus["features"] = {{"amx", features.flag("amx")}};
    COCOON_TRY(features.finish());
  }
  if (const json* topology = members.find("topology")) {
    COCOON_TRY(keep_topology(saved, *topology));
  }
  members.same_or_absent("profile", "Host");
  members.text("core_scheduling");  // of the host's threads
  return members.finish();
}

// Members of memory and of its zone that say how the host holds it.
void pass_host_memory(Members& members) {
  members.flag("mergeable");
  members.flag("hugepages");
  members.number("hugepage_size", kMaxNumber);
  members.flag("prefault");
  members.flag("reserve");
  members.flag("thp");
}

Result<void> check_zone(SavedConfig& saved, const json& object, const Plan& plan) {
  Members members(object, part("memory.zones[0]"));
  members.same("id", kMemoryZone);
  members.same("size", plan.memory);
  std::string file = members.text("file");
  if (file != kMemoryFile && file != kMemoryRangesFile) members.refuse("file", "is not the memory");
  saved.memory_in_file = members.flag("shared");
  pass_host_memory(members);
  return members.finish();
}

Result<void> check_memory(SavedConfig& saved, const json& object, const model::Vm& vm,
                          const Plan& plan) {
  Members members(object, part("memory"));
  const json* zones = members.find("zones");
  members.same("size", zones == nullptr ? plan.memory : 0);
  if (zones != nullptr) {
    const json& list = members.list("zones");
    if (list.size() == 1) {
      COCOON_TRY(check_zone(saved, list[0], plan));
    } else {
      members.refuse("zones", "has not one zone");
    }
  }
  if (saved.memory_in_file != (vm.memory_backing == "file")) {
    members.refuse("zones", "is not the memory that the record says");
  }
  members.same_or_absent("hotplug_method", "Acpi");
  members.same_or_absent("shared", false);
  pass_host_memory(members);
  return members.finish();
}

Result<void> keep_disk(SavedConfig& saved, const json& object, const std::string& name,
                       const model::Disk& disk, const DiskPlan& plan) {
  Members members(object, name);
  members.same("path", disk.path);
  members.same("id", plan.id);
  members.same_or_absent("readonly", disk.read_only);
  if (disk.read_only) members.same("readonly", true);
  if (disk.serial.empty()) {
    members.same_or_absent("serial", "");
  } else {
    members.same("serial", disk.serial);
  }
  members.same("image_type", disk.backing.empty() ? "Raw" : "Qcow2");
  members.same_or_absent("backing_files", !disk.backing.empty());
  members.same("num_queues", plan.queues);
  members.same("queue_size", plan.queue_size);
  saved.sparse.push_back(members.flag("sparse", true));
  members.same_or_absent("vhost_user", false);
  check_place(members);
  // How the host reads and locks the file.
  for (const char* key : {"direct", "disable_io_uring", "disable_aio"}) members.flag(key);
  members.text("lock_granularity");
  return members.finish();
}

// Disks are found by their IDs: one that was plugged in stands last, whatever its place in the
// record.
Result<void> keep_disks(SavedConfig& saved, const json& list, const model::Vm& vm,
                        const Plan& plan) {
  if (list.size() != plan.disks.size() || vm.disks.size() != plan.disks.size()) {
    return fail(ErrorKind::kCorrupt, "{} has {} disks, not {}", kFile, list.size(),
                plan.disks.size());
  }
  for (std::size_t index = 0; index < plan.disks.size(); ++index) {
    const DiskPlan& place = plan.disks[index];
    auto at = std::find_if(list.begin(), list.end(), [&place](const json& disk) {
      return disk.is_object() && disk.contains("id") && disk["id"] == place.id;
    });
    if (at == list.end()) {
      return fail(ErrorKind::kCorrupt, "{}: disks: no \"{}\"", kFile, place.id);
    }
    std::string name = part(fmt::format("disks[{}]", at - list.begin()));
    COCOON_TRY(keep_disk(saved, *at, name, vm.disks[index], place));
  }
  return {};
}

Result<void> keep_nic(SavedConfig& saved, const json& object, const std::string& name,
                      const model::Nic& nic, const NicPlan& plan) {
  Members members(object, name);
  SavedConfig::Nic kept;
  kept.id = members.text("id");
  if (!is_id(kept.id, {"net", "_net"})) members.refuse("id", "is no ID of a NIC");
  auto same_id = [&kept](const SavedConfig::Nic& other) { return other.id == kept.id; };
  if (std::any_of(saved.nics.begin(), saved.nics.end(), same_id)) {
    members.refuse("id", "is there twice");
  }
  members.same("tap", nic.tap);
  members.same("mac", nic.mac);
  members.same("num_queues", 2 * plan.queue_pairs);
  members.same("queue_size", plan.queue_size);
  kept.tso = members.flag("offload_tso", true);
  kept.ufo = members.flag("offload_ufo", true);
  kept.csum = members.flag("offload_csum", true);
  members.same_or_absent("vhost_user", false);
  members.same_or_absent("vhost_mode", "Client");
  check_place(members);
  // Of the TAP that was. To set such a one takes rights that a VMM has not.
  members.text("host_mac");
  constexpr std::uint64_t kMaxMtu = 65'535;
  members.number("mtu", kMaxMtu);
  saved.nics.push_back(std::move(kept));
  return members.finish();
}

Result<void> keep_nics(SavedConfig& saved, const json* list, const model::Vm& vm,
                       const Plan& plan) {
  std::size_t found = list != nullptr && list->is_array() ? list->size() : 0;
  if (found != plan.nics.size() || vm.nics.size() != plan.nics.size()) {
    return fail(ErrorKind::kCorrupt, "{} has {} NICs (net), not {}", kFile, found,
                plan.nics.size());
  }
  for (std::size_t index = 0; index < plan.nics.size(); ++index) {
    COCOON_TRY(keep_nic(saved, (*list)[index], part(fmt::format("net[{}]", index)), vm.nics[index],
                        plan.nics[index]));
  }
  return {};
}

Result<void> check_rng(const json& object) {
  Members members(object, part("rng"));
  members.same("src", "/dev/urandom");
  check_place(members);
  return members.finish();
}

Result<void> keep_balloon(SavedConfig& saved, const json& object, const Plan& plan) {
  Members members(object, part("balloon"));
  saved.balloon_size = members.number("size", static_cast<std::uint64_t>(plan.memory));
  saved.balloon_deflates = members.flag("deflate_on_oom");
  saved.balloon_reports = members.flag("free_page_reporting");
  check_place(members);
  return members.finish();
}

Result<void> keep_vsock(SavedConfig& saved, const json& object) {
  Members members(object, part("vsock"));
  saved.vsock_id = members.text("id");
  if (!is_id(saved.vsock_id, {"vsock", "_vsock"})) members.refuse("id", "is no ID of a vsock");
  members.same("cid", kGuestCid);
  members.same("socket", kVsockSocket);
  check_place(members);
  return members.finish();
}

Result<void> check_console(const json& object, const char* name, std::string_view mode) {
  Members members(object, part(name));
  members.same("mode", mode);
  check_place(members);
  constexpr std::uint64_t kMaxPort = 65'535;
  members.number("iobase", kMaxPort);
  return members.finish();
}

// The UUID is one's own, and nothing else is set.
Result<void> check_platform(const json& object) {
  Members members(object, part("platform"));
  members.text("uuid");
  members.text("system_uuid");
  members.same_or_absent("num_pci_segments", 1);
  constexpr std::uint64_t kWidestAddress = 64;
  members.number("iommu_address_width_bits", kWidestAddress);
  members.same_or_absent("tdx", false);
  members.same_or_absent("sev_snp", false);
  // How devices of the host would be handed over; there are none.
  members.flag("iommufd");
  members.flag("vfio_p2p_dma");
  return members.finish();
}

Result<void> check_landlock(Members& members) {
  members.flag("landlock_enable");
  const json* rules = members.find("landlock_rules");
  if (rules == nullptr) return {};
  for (const json& object : members.list("landlock_rules")) {
    Members rule(object, part("landlock_rules"));
    // The host's own are written anew.
    rule.text("path");
    rule.text("access");
    COCOON_TRY(rule.finish());
  }
  return {};
}

Result<SavedConfig> keep(Members& members, const model::Vm& vm, const Plan& plan) {
  SavedConfig saved;
  for (const char* key : {"payload", "cpus", "memory", "rng", "serial", "console"}) {
    members.object(key);
  }
  if (plan.vsock) members.object("vsock");
  if (!vm.config.windows) members.object("balloon");
  const json& disks = members.list("disks");
  COCOON_TRY(members.check());
  COCOON_TRY(check_payload(members.object("payload"), vm));
  COCOON_TRY(keep_cpus(saved, members.object("cpus"), vm, plan));
  COCOON_TRY(check_memory(saved, members.object("memory"), vm, plan));
  COCOON_TRY(keep_disks(saved, disks, vm, plan));
  COCOON_TRY(keep_nics(saved, members.find("net"), vm, plan));
  COCOON_TRY(check_rng(members.object("rng")));
  if (!vm.config.windows) COCOON_TRY(keep_balloon(saved, members.object("balloon"), plan));
  if (plan.vsock) COCOON_TRY(keep_vsock(saved, members.object("vsock")));
  const char* on = boots_firmware(vm) ? "serial" : "console";
  const char* off = boots_firmware(vm) ? "console" : "serial";
  COCOON_TRY(check_console(members.object(on), on, "Tty"));
  COCOON_TRY(check_console(members.object(off), off, "Off"));
  if (const json* debug = members.find("debug_console")) {
    COCOON_TRY(check_console(*debug, "debug_console", "Off"));
  }
  if (const json* platform = members.find("platform")) COCOON_TRY(check_platform(*platform));
  COCOON_TRY(check_landlock(members));
  members.same("watchdog", true);
  members.same_or_absent("pvpanic", false);
  members.same_or_absent("iommu", false);
  return saved;
}

Json render_memory_file(const Plan& plan, MemoryHome home, std::string_view file) {
  Json zone{{"id", kMemoryZone},
            {"size", plan.memory},
            {"file", file},
            {"shared", home == MemoryHome::kOwnFile}};
  return {{"size", 0}, {"zones", Json::array({std::move(zone)})}};
}

}  // namespace

Result<SavedConfig> parse_saved_config(std::string_view text, const model::Vm& vm,
                                       const Plan& plan) {
  json config = COCOON_TRY(parse_exact(text, kFile));
  Members members(config, kFile);
  SavedConfig saved = COCOON_TRY(keep(members, vm, plan));
  COCOON_TRY(members.finish());
  return saved;
}

Result<Json> render_load_config(const model::Vm& vm, const Plan& plan, const Host& host,
                                const SavedConfig& saved, MemoryHome home,
                                std::string_view memory_file) {
  Json config = COCOON_TRY(render_vm_config(vm, plan, host));
  for (const auto& [key, value] : saved.cpus.items()) config["cpus"][key] = value;
  if (home != MemoryHome::kAnonymous) {
    config["memory"] = render_memory_file(plan, home, memory_file);
  }
  for (std::size_t index = 0; index < saved.sparse.size(); ++index) {
    config["disks"][index]["sparse"] = static_cast<bool>(saved.sparse[index]);
  }
  for (std::size_t index = 0; index < saved.nics.size(); ++index) {
    const SavedConfig::Nic& kept = saved.nics[index];
    Json& nic = config["net"][index];
    nic["id"] = kept.id;
    nic["offload_tso"] = kept.tso;
    nic["offload_ufo"] = kept.ufo;
    nic["offload_csum"] = kept.csum;
  }
  if (config.contains("balloon")) {
    config["balloon"] = {{"size", saved.balloon_size},
                         {"deflate_on_oom", saved.balloon_deflates},
                         {"free_page_reporting", saved.balloon_reports}};
  }
  if (plan.vsock) config["vsock"]["id"] = saved.vsock_id;
  return config;
}

}  // namespace cocoon::vmm::cloud_hypervisor
