// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/plan.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "vmm/plan_rules.h"

namespace cocoon::vmm::qemu {
namespace {

constexpr const char* kKind = "qemu";
constexpr int kMaxPairs = 128;
constexpr int kMinRxQueueSize = 256;
constexpr int kDefaultQueueSize = 256;
constexpr int kMaxQueues = 16;
constexpr std::size_t kMaxNodeName = 31;  // BDRV node names

bool is_node_name(std::string_view text) {
  auto good = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-'; };
  return !text.empty() && text.size() <= kMaxNodeName &&
         std::all_of(text.begin(), text.end(), good) &&
         std::isalpha(static_cast<unsigned char>(text[0])) != 0;
}

bool has_node(const Plan& plan, std::string_view node) {
  return std::any_of(plan.disks.begin(), plan.disks.end(),
                     [node](const DiskPlan& disk) { return disk.node == node; });
}

// "data-db.raw" -> "data-db". Names that are no node names get their place in the list, or the next
// that is free.
std::string node_name(const Plan& plan, const model::Disk& disk, std::size_t index) {
  std::string name = disk.path.substr(0, disk.path.find('.'));
  while (!is_node_name(name) || has_node(plan, name)) name = fmt::format("disk{}", index++);
  return name;
}

// The lowest free root port, or -1.
int free_port(const Plan& plan) {
  for (int port = 0; port < plan.root_ports; ++port) {
    bool taken = std::any_of(plan.disks.begin(), plan.disks.end(),
                             [port](const DiskPlan& disk) { return disk.port == port; });
    if (!taken) return port;
  }
  return -1;
}

// The lowest free slot, or 0. The last ones are the NICs' where there are any.
int free_slot(const Plan& plan) {
  int last = plan.nics.empty() ? kLastFreeSlot : kFirstNicSlot - 1;
  for (int slot = kFirstFreeSlot; slot <= last; ++slot) {
    bool taken = std::any_of(plan.disks.begin(), plan.disks.end(),
                             [slot](const DiskPlan& disk) { return disk.slot == slot; });
    if (!taken) return slot;
  }
  return 0;
}

enum class Where { kSlot, kPort, kPortOnly };  // the first two: or else the other

Result<void> find_place(const Plan& plan, Where where, DiskPlan& disk) {
  if (where == Where::kSlot) disk.slot = free_slot(plan);
  if (disk.slot == 0) disk.port = free_port(plan);
  if (disk.slot == 0 && disk.port < 0 && where == Where::kPort) disk.slot = free_slot(plan);
  if (disk.slot != 0 || disk.port >= 0) return {};
  if (where == Where::kPortOnly) {
    return fail(ErrorKind::kUnsupported,
                "all {} root ports of the running QEMU guest are taken; stop the VM first",
                plan.root_ports);
  }
  return fail(ErrorKind::kUnsupported, "{} disks, but a QEMU guest has places for {}",
              plan.disks.size() + 1, plan.disks.size());
}

// Those that the guest sees behind its root disk.
bool is_behind_root(const model::Disk& disk) {
  return disk.role == model::DiskRole::kData || disk.role == model::DiskRole::kCidata;
}

// Guests see what is in slots before what is behind ports. So the disks behind the root disk are
// all in the one or all in the other, and their order is that of the record; behind ports, where a
// running guest can lose them, while enough are left for those that come later.
Where place_of_new(const model::Vm& vm, const model::Disk& disk) {
  auto count = std::count_if(vm.disks.begin(), vm.disks.end(), is_behind_root);
  return is_behind_root(disk) && count <= kColdRootPorts ? Where::kPort : Where::kSlot;
}

Result<DiskPlan> plan_disk(const Plan& plan, const model::Vm& vm, std::size_t index, Where where) {
  const model::Disk& disk = vm.disks[index];
  DiskPlan out;
  out.path = disk.path;
  out.node = node_name(plan, disk, index);
  // A read-only layer is mostly served from the guest's page cache: one queue will do.
  out.queues = disk.read_only ? 1 : std::min(vm.config.cpu, kMaxQueues);
  out.queue_size = vm.config.disk_queue_size == 0 ? kDefaultQueueSize : vm.config.disk_queue_size;
  COCOON_TRY(find_place(plan, where, out));
  return out;
}

bool is_model_name(std::string_view text) {
  auto good = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), good);
}

Result<void> check_limits(const model::Vm& vm) {
  if (vm.disks.size() > static_cast<std::size_t>(kFreeSlots)) {
    return fail(ErrorKind::kUnsupported, "{} disks, but a QEMU guest has places for {}",
                vm.disks.size(), kFreeSlots);
  }
  COCOON_TRY(check_size(vm, "QEMU", kMaxCpus));
  return check_disk_queue_size(vm);
}

Result<void> check_disk(const DiskPlan& disk, int root_ports) {
  if (!is_node_name(disk.node) || !is_file_name(disk.path)) {
    return fail(ErrorKind::kCorrupt, "disk \"{}\" with node \"{}\"", disk.path, disk.node);
  }
  bool in_slot = disk.port == -1 && disk.slot >= kFirstFreeSlot && disk.slot <= kLastFreeSlot;
  bool behind_port = disk.slot == 0 && disk.port >= 0 && disk.port < root_ports;
  if (!in_slot && !behind_port) {
    return fail(ErrorKind::kCorrupt, "disk \"{}\" in slot {}, root port {}", disk.path, disk.slot,
                disk.port);
  }
  if (disk.queues < 1 || disk.queues > kMaxQueues || !is_queue_size(disk.queue_size)) {
    return fail(ErrorKind::kCorrupt, "disk \"{}\" with {} queues of {}", disk.path, disk.queues,
                disk.queue_size);
  }
  return {};
}

Result<void> check_nic(const NicPlan& nic, int expected_slot) {
  if (nic.slot == expected_slot && nic.queue_pairs >= 1 && nic.queue_pairs <= kMaxPairs &&
      is_queue_size(nic.queue_size, kMinRxQueueSize)) {
    return {};
  }
  return fail(ErrorKind::kCorrupt, "NIC in slot {} with {} queue pairs of {}", nic.slot,
              nic.queue_pairs, nic.queue_size);
}

// No two disks may share a file, a node or a place.
bool are_distinct(const std::vector<DiskPlan>& disks) {
  std::set<std::string_view> paths;
  std::set<std::string_view> nodes;
  std::set<std::pair<int, int>> places;
  return std::all_of(disks.begin(), disks.end(), [&](const DiskPlan& disk) {
    return paths.insert(disk.path).second && nodes.insert(disk.node).second &&
           places.insert({disk.slot, disk.port}).second;
  });
}

// Disks grow towards the NICs.
Result<void> check_nic_room(const Plan& plan) {
  bool reached = std::any_of(plan.disks.begin(), plan.disks.end(), [&](const DiskPlan& disk) {
    return disk.slot >= kFirstNicSlot &&
           disk.slot < kFirstNicSlot + static_cast<int>(plan.nics.size());
  });
  if (!reached) return {};
  return fail(ErrorKind::kUnsupported,
              "{} disks and {} NICs: with NICs a QEMU guest has places for {}", plan.disks.size(),
              plan.nics.size(), kFirstNicSlot - kFirstFreeSlot);
}

Result<NicPlan> plan_nic(const model::Nic& nic, int index, int wanted_size) {
  NicPlan plan;
  plan.slot = kFirstNicSlot + index;
  plan.queue_pairs = nic.queue_pairs();
  if (wanted_size != 0) plan.queue_size = wanted_size;
  if (!is_queue_size(plan.queue_size, kMinRxQueueSize)) {
    return fail(ErrorKind::kInvalid, "queue size {} is no power of two from {} to {}",
                plan.queue_size, kMinRxQueueSize, kMaxQueueSize);
  }
  if (plan.queue_pairs > kMaxPairs) {
    return fail(ErrorKind::kUnsupported, "{} queue pairs; {} is the limit", plan.queue_pairs,
                kMaxPairs);
  }
  return plan;
}

Result<void> check_plan(const Plan& plan) {
  COCOON_TRY(check_stored_size(plan.vcpus, plan.memory, kMaxCpus));
  if (plan.root_ports < 0 || plan.root_ports > kMaxRootPorts) {
    return fail(ErrorKind::kCorrupt, "{} root ports", plan.root_ports);
  }
  if (!is_model_name(plan.kvm_cpu) || !is_model_name(plan.tcg_cpu)) {
    return fail(ErrorKind::kCorrupt, "CPU models \"{}\" and \"{}\"", plan.kvm_cpu, plan.tcg_cpu);
  }
  if (plan.machine.major < 1 || plan.machine.minor < 0) {
    return fail(ErrorKind::kCorrupt, "machine version {}", plan.machine.to_string());
  }
  for (const DiskPlan& disk : plan.disks) COCOON_TRY(check_disk(disk, plan.root_ports));
  if (!are_distinct(plan.disks)) {
    return fail(ErrorKind::kCorrupt, "two disks in one place");
  }
  int slot = kFirstNicSlot;
  for (const NicPlan& nic : plan.nics) COCOON_TRY(check_nic(nic, slot++));
  return check_nic_room(plan);
}

nlohmann::json disk_to_json(const DiskPlan& disk) {
  nlohmann::json json = {{"path", disk.path},
                         {"node", disk.node},
                         {"slot", disk.slot},
                         {"queues", disk.queues},
                         {"queue_size", disk.queue_size}};
  if (disk.port >= 0) json["port"] = disk.port;
  return json;
}

void read_disk(model::Fields& fields, DiskPlan& disk) {
  fields.get("path", disk.path);
  fields.get("node", disk.node);
  fields.get("slot", disk.slot);
  fields.get("queues", disk.queues);
  fields.get("queue_size", disk.queue_size);
  fields.get("port", disk.port);
}

void read_nic(model::Fields& fields, NicPlan& nic) {
  fields.get("slot", nic.slot);
  fields.get("queue_pairs", nic.queue_pairs);
  fields.get("queue_size", nic.queue_size);
}

Result<Plan> parse_parts(const model::DevicePlan& json) {
  Plan plan;
  model::Fields fields(json, "plan");
  fields.get("machine_major", plan.machine.major);
  fields.get("machine_minor", plan.machine.minor);
  fields.get("cpu_kvm", plan.kvm_cpu);
  fields.get("cpu_tcg", plan.tcg_cpu);
  fields.get("root_ports", plan.root_ports);
  COCOON_TRY(read_plan_head(fields, kKind, plan.vcpus, plan.memory));
  plan.disks =
      COCOON_TRY(parse_plan_list<DiskPlan>(fields.find("disks"), kFreeSlots, "disk", read_disk));
  plan.nics =
      COCOON_TRY(parse_plan_list<NicPlan>(fields.find("nics"), model::kMaxNics, "NIC", read_nic));
  COCOON_TRY(check_plan(plan));
  return plan;
}

}  // namespace

std::string Plan::machine_type() const {
  return fmt::format("pc-q35-{}.{}", machine.major, machine.minor);
}

Result<Plan> make_plan(const model::Vm& vm, Version version) {
  COCOON_TRY(check_limits(vm));
  Plan plan;
  plan.machine = {version.major, version.minor, 0};
  plan.vcpus = vm.config.cpu;
  plan.memory = vm.config.memory;
  plan.root_ports = kMaxRootPorts;
  for (std::size_t index = 0; index < vm.disks.size(); ++index) {
    plan.disks.push_back(COCOON_TRY(plan_disk(plan, vm, index, place_of_new(vm, vm.disks[index]))));
  }
  if (!are_distinct(plan.disks)) return fail(ErrorKind::kInvalid, "two disks with one name");
  return replan_nics(plan, vm);
}

Result<Plan> replan_nics(const Plan& plan, const model::Vm& vm) {
  if (vm.nics.size() > static_cast<std::size_t>(model::kMaxNics)) {
    return fail(ErrorKind::kUnsupported, "{} NICs, but a QEMU guest has places for {}",
                vm.nics.size(), model::kMaxNics);
  }
  Plan out = plan;
  out.nics.resize(std::min(plan.nics.size(), vm.nics.size()));
  for (std::size_t index = out.nics.size(); index < vm.nics.size(); ++index) {
    out.nics.push_back(COCOON_TRY(
        plan_nic(vm.nics[index], static_cast<int>(index), vm.config.queue_size), "NIC {}", index));
  }
  COCOON_TRY(check_nic_room(out));
  return out;
}

Result<Plan> replan_disks(const Plan& plan, const model::Vm& vm) {
  COCOON_TRY(check_limits(vm));
  Plan out = plan;
  drop_lost_disks(out.disks, vm);
  Where where = vm.state == model::VmState::kRunning ? Where::kPortOnly : Where::kPort;
  for (std::size_t index = 0; index < vm.disks.size(); ++index) {
    if (index < out.disks.size() && out.disks[index].path == vm.disks[index].path) continue;
    DiskPlan added = COCOON_TRY(plan_disk(out, vm, index, where));
    out.disks.insert(out.disks.begin() + static_cast<std::ptrdiff_t>(index), std::move(added));
  }
  // Disks in another order than before would be there twice now.
  COCOON_TRY(check_plan(out));
  return out;
}

Result<Plan> replan_size(const Plan& plan, const model::Vm& vm) {
  COCOON_TRY(check_limits(vm));
  Plan out = plan;
  out.vcpus = vm.config.cpu;
  out.memory = vm.config.memory;
  return out;
}

model::DevicePlan plan_to_json(const Plan& plan) {
  nlohmann::json disks = nlohmann::json::array();
  for (const DiskPlan& disk : plan.disks) disks.push_back(disk_to_json(disk));
  nlohmann::json nics = nlohmann::json::array();
  for (const NicPlan& nic : plan.nics) {
    nics.push_back(
        {{"slot", nic.slot}, {"queue_pairs", nic.queue_pairs}, {"queue_size", nic.queue_size}});
  }
  nlohmann::json out = {{"backend", kKind},
                        {"format", plan.nics.empty() ? kPlanFormatWithoutNics : kPlanFormat},
                        {"machine_major", plan.machine.major},
                        {"machine_minor", plan.machine.minor},
                        {"cpu_kvm", plan.kvm_cpu},
                        {"cpu_tcg", plan.tcg_cpu},
                        {"vcpus", plan.vcpus},
                        {"memory", plan.memory},
                        {"root_ports", plan.root_ports},
                        {"disks", std::move(disks)}};
  if (!plan.nics.empty()) out["nics"] = std::move(nics);
  return out;
}

Result<Plan> parse_plan(const model::DevicePlan& json) {
  return COCOON_TRY(parse_parts(json), "read the stored device plan");
}

}  // namespace cocoon::vmm::qemu
