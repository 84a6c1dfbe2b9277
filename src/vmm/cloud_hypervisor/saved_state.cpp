// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/saved_state.h"

#include <charconv>
#include <set>

#include "vmm/cloud_hypervisor/members.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using nlohmann::json;

constexpr const char* kFile = "state.json";
constexpr const char* kCpuManager = "cpu-manager";
constexpr const char* kMemoryManager = "memory-manager";
constexpr const char* kDeviceManager = "device-manager";
constexpr std::string_view kPciLead = "_virtio-pci-";
constexpr int kMacBytes = 6;

std::string part(std::string_view name) { return fmt::format("{}: {}", kFile, name); }

// What a snapshot's nodes look like: parts below it, and a text that holds JSON.
struct Node {
  const json* parts = nullptr;
  const std::string* state = nullptr;  // null: none
};

Result<Node> read_node(const json& value, const std::string& name) {
  Members members(value, name);
  Node node;
  node.parts = &members.object("snapshots");
  if (members.find("snapshot_data") != nullptr) {
    Members data(members.object("snapshot_data"), name + ": snapshot_data");
    const json* state = data.find("state");
    if (state == nullptr || !state->is_string()) data.refuse("state", "is no text");
    COCOON_TRY(data.finish());
    node.state = state->get_ptr<const std::string*>();
  }
  COCOON_TRY(members.finish());
  return node;
}

// A node that has a state, taken out of its text.
Result<json> read_state(const json& value, const std::string& name) {
  Node node = COCOON_TRY(read_node(value, name));
  if (node.state == nullptr) return fail(ErrorKind::kCorrupt, "{}: no snapshot_data", name);
  return parse_exact(*node.state, name);
}

// `object` must have exactly these keys, and may have the others.
Result<void> check_names(const json& object, const std::set<std::string>& names,
                         const std::string& where, const std::set<std::string>& others = {}) {
  for (const auto& [key, value] : object.items()) {
    if (names.contains(key) || others.contains(key)) continue;
    constexpr std::size_t kMaxQuoted = 64;
    return fail(ErrorKind::kCorrupt, "{}: \"{}\" is not expected there", where,
                key.substr(0, kMaxQuoted));
  }
  for (const std::string& name : names) {
    if (!object.contains(name)) return fail(ErrorKind::kCorrupt, "{}: no \"{}\"", where, name);
  }
  return {};
}

Result<void> check_cpus(const json& value, const Plan& plan) {
  Node node = COCOON_TRY(read_node(value, part(kCpuManager)));
  std::set<std::string> names;
  for (int cpu = 0; cpu < plan.vcpus; ++cpu) names.insert(std::to_string(cpu));
  return check_names(*node.parts, names, part(kCpuManager));
}

// Every virtio device of the guest by its ID, and its place on the bus.
std::set<std::string> device_ids(const model::Vm& vm, const Plan& plan, const SavedConfig& config) {
  std::set<std::string> ids{"__rng", "__watchdog"};
  if (plan.vsock) ids.insert(config.vsock_id);
  if (!vm.config.windows) ids.insert("__balloon");
  if (vm.boot.firmware.empty()) ids.insert("__console");
  for (const DiskPlan& disk : plan.disks) ids.insert(disk.id);
  for (const SavedConfig::Nic& nic : config.nics) ids.insert(nic.id);
  std::set<std::string> out = ids;
  for (const std::string& id : ids) out.insert(std::string(kPciLead) + id);
  return out;
}

// Parts of the board that every guest has, and that name nothing.
const std::set<std::string>& board_ids() {
  static const std::set<std::string> kIds{"__ioapic", "__serial"};
  return kIds;
}

Result<void> check_disk(const json& value, const DiskPlan& disk) {
  std::string name = part(disk.id);
  json state = COCOON_TRY(read_state(value, name));
  if (state.is_object() && state.contains("disk_path") && state["disk_path"] == disk.path) {
    return {};
  }
  return fail(ErrorKind::kCorrupt, "{}: disk_path is not {}", name, disk.path);
}

Result<void> check_devices(const json& value, const model::Vm& vm, const Plan& plan,
                           const SavedConfig& config) {
  std::string name = part(kDeviceManager);
  Node node = COCOON_TRY(read_node(value, name));
  if (node.state == nullptr) return fail(ErrorKind::kCorrupt, "{}: no snapshot_data", name);
  std::set<std::string> ids = device_ids(vm, plan, config);
  COCOON_TRY(check_names(*node.parts, ids, name, board_ids()));
  json state = COCOON_TRY(parse_exact(*node.state, name));
  Members members(state, name);
  const json& tree = members.object("device_tree");
  members.number("device_id_cnt", UINT32_MAX);
  COCOON_TRY(members.finish());
  COCOON_TRY(check_names(tree, ids, name + ": device_tree", board_ids()));
  for (const DiskPlan& disk : plan.disks) COCOON_TRY(check_disk((*node.parts)[disk.id], disk));
  return {};
}

struct Range {
  std::uint64_t start = 0, size = 0;
  bool operator==(const Range&) const = default;
};

Result<std::vector<Range>> read_mappings(const json& list) {
  std::vector<Range> ranges;
  for (std::size_t index = 0; index < list.size(); ++index) {
    Members members(list[index],
                    part(fmt::format("{}: guest_ram_mappings[{}]", kMemoryManager, index)));
    ranges.push_back({members.number("gpa", UINT64_MAX), members.number("size", UINT64_MAX)});
    std::string zone = members.text("zone_id");
    if (zone != kDefaultZone && zone != kMemoryZone) members.refuse("zone_id", "is none of ours");
    members.same("virtio_mem", false);
    members.number("slot", UINT32_MAX);
    members.number("file_offset", UINT64_MAX);
    COCOON_TRY(members.finish());
  }
  return ranges;
}

Result<std::vector<Range>> read_saved_ranges(const json& object) {
  std::string name = part(fmt::format("{}: memory_ranges", kMemoryManager));
  Members members(object, name);
  std::vector<Range> ranges;
  for (const json& range : members.list("data")) {
    Members own(range, name);
    ranges.push_back({own.number("gpa", UINT64_MAX), own.number("length", UINT64_MAX)});
    COCOON_TRY(own.finish());
  }
  COCOON_TRY(members.finish());
  return ranges;
}

// Ranges that follow each other, do not touch what is before, and make up the whole memory.
bool cover(const std::vector<Range>& ranges, std::int64_t memory) {
  auto left = static_cast<std::uint64_t>(memory);
  std::uint64_t end = 0;
  for (const Range& range : ranges) {
    if (range.start < end || range.size == 0 || range.size > left) return false;
    left -= range.size;
    end = range.start + range.size;
    if (end < range.start) return false;
  }
  return left == 0;
}

Result<void> check_memory(const json& state, const Plan& plan, const SavedConfig& config) {
  std::string name = part(kMemoryManager);
  Members members(state, name);
  members.same("boot_ram", plan.memory);
  members.same("current_ram", plan.memory);
  auto mapped = COCOON_TRY(read_mappings(members.list("guest_ram_mappings")));
  auto saved = COCOON_TRY(read_saved_ranges(members.object("memory_ranges")));
  if (!cover(mapped, plan.memory)) {
    members.refuse("guest_ram_mappings", fmt::format("are not {} bytes of memory", plan.memory));
  }
  // Where it saves a range, it does so at the sum of those before it. A clone's mapping of the file
  // relies on it.
  if (config.memory_in_file ? !saved.empty() : saved != mapped) {
    members.refuse("memory_ranges", "are not what the memory file holds");
  }
  for (const json& slot : members.list("hotplug_slots")) {
    if (slot.is_object() && slot.contains("active") && slot["active"] == false) continue;
    members.refuse("hotplug_slots", "has one in use");
  }
  members.list("arch_mem_regions");
  for (const char* key :
       {"start_of_device_area", "next_memory_slot", "selected_slot", "next_hotplug_slot"}) {
    members.number(key, UINT64_MAX);
  }
  return members.finish();
}

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void place_memory(json& memory, MemoryHome home) {
  bool in_file = home != MemoryHome::kAnonymous;
  json saved = json::array();
  std::uint64_t offset = 0;
  for (json& mapping : memory["guest_ram_mappings"]) {
    auto size = mapping["size"].get<std::uint64_t>();
    mapping["zone_id"] = in_file ? kMemoryZone : kDefaultZone;
    mapping["file_offset"] = in_file ? offset : 0;
    if (!in_file) saved.push_back({{"gpa", mapping["gpa"]}, {"length", size}});
    offset += size;
  }
  memory["memory_ranges"]["data"] = std::move(saved);
}

// "0a:58:0a:58:00:0c" -> [10,88,10,88,0,12].
Result<json> mac_bytes(const std::string& mac) {
  json bytes = json::array();
  for (std::size_t at = 0; at + 2 <= mac.size(); at += 3) {
    unsigned value = 0;
    auto [end, bad] = std::from_chars(mac.data() + at, mac.data() + at + 2, value, 16);
    if (bad == std::errc() && end == mac.data() + at + 2) bytes.push_back(value);
  }
  if (bytes.size() == kMacBytes && model::is_mac(mac)) return bytes;
  return fail(ErrorKind::kInvalid, "\"{}\" is no hardware address", mac);
}

Result<void> place_nic(json& node, const std::string& id, const std::string& mac) {
  std::string name = part(id);
  json state = COCOON_TRY(read_state(node, name));
  auto config = state.is_object() ? state.find("config") : state.end();
  if (!state.is_object() || config == state.end() || !config->is_object() ||
      !config->contains("mac")) {
    return fail(ErrorKind::kCorrupt, "{}: no config.mac", name);
  }
  (*config)["mac"] = COCOON_TRY(mac_bytes(mac), "{}", name);
  node["snapshot_data"]["state"] = dump(state);
  return {};
}

}  // namespace

std::size_t max_state_bytes(int vcpus) {
  // Measured: 30 KB for a processor, 6 KB for a device.
  constexpr std::size_t kBase = std::size_t{2} << 20;
  constexpr std::size_t kOfCpu = std::size_t{256} << 10;
  return kBase + kOfCpu * static_cast<std::size_t>(vcpus);
}

Result<SavedState> parse_saved_state(std::string_view text, const model::Vm& vm, const Plan& plan,
                                     const SavedConfig& config) {
  SavedState out;
  out.root = COCOON_TRY(parse_exact(text, kFile));
  Node root = COCOON_TRY(read_node(out.root, kFile));
  COCOON_TRY(check_names(*root.parts, {kCpuManager, kMemoryManager, kDeviceManager}, kFile));
  COCOON_TRY(check_cpus((*root.parts)[kCpuManager], plan));
  COCOON_TRY(check_devices((*root.parts)[kDeviceManager], vm, plan, config));
  out.memory = COCOON_TRY(read_state((*root.parts)[kMemoryManager], part(kMemoryManager)));
  COCOON_TRY(check_memory(out.memory, plan, config));
  for (const SavedConfig::Nic& nic : config.nics) out.nic_ids.push_back(nic.id);
  return out;
}

Result<std::string> render_load_state(SavedState state, const model::Vm& vm, MemoryHome home) {
  json& parts = state.root["snapshots"];
  place_memory(state.memory, home);
  parts[kMemoryManager]["snapshot_data"]["state"] = dump(state.memory);
  for (std::size_t index = 0; index < state.nic_ids.size() && index < vm.nics.size(); ++index) {
    const std::string& id = state.nic_ids[index];
    if (vm.nics[index].mac.empty()) continue;
    COCOON_TRY(place_nic(parts[kDeviceManager]["snapshots"][id], id, vm.nics[index].mac));
  }
  return dump(state.root);
}

}  // namespace cocoon::vmm::cloud_hypervisor
