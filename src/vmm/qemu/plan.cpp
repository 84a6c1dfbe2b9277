// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/plan.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <set>

#include "base/units.h"
#include "model/json_fields.h"

namespace cocoon::vmm::qemu {
namespace {

// 2: with NICs. A plan without any is written as 1, which it equals.
constexpr int kFormat = 2;
constexpr int kFormatWithoutNics = 1;
constexpr int kMaxPairs = 128;
constexpr int kMaxRxQueueSize = 1024;
constexpr int kDefaultQueueSize = 256;
constexpr int kMaxQueueSize = 1024;  // VIRTQUEUE_MAX_SIZE
constexpr int kMaxQueues = 16;
constexpr std::size_t kMaxNodeName = 31;  // BDRV node names

bool is_node_name(std::string_view text) {
  auto good = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-'; };
  return !text.empty() && text.size() <= kMaxNodeName &&
         std::all_of(text.begin(), text.end(), good) &&
         std::isalpha(static_cast<unsigned char>(text[0])) != 0;
}

// "data-db.raw" -> "data-db". Names that are no node names get their place in the list.
std::string node_name(const model::Disk& disk, std::size_t index) {
  std::string stem = disk.path.substr(0, disk.path.find('.'));
  return is_node_name(stem) ? stem : fmt::format("disk{}", index);
}

bool is_queue_size(int size) {
  return size >= 4 && size <= kMaxQueueSize && std::has_single_bit(static_cast<unsigned>(size));
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
  if (vm.config.cpu < 1 || vm.config.cpu > kMaxCpus) {
    return fail(ErrorKind::kUnsupported, "{} vCPUs, but a QEMU guest has 1 to {}", vm.config.cpu,
                kMaxCpus);
  }
  if (vm.config.memory < kMiB || vm.config.memory % kMiB != 0) {
    return fail(ErrorKind::kInvalid, "memory of {} bytes is no multiple of 1 MiB",
                vm.config.memory);
  }
  if (vm.config.disk_queue_size != 0 && !is_queue_size(vm.config.disk_queue_size)) {
    return fail(ErrorKind::kInvalid, "disk queue size {} is no power of two from 4 to {}",
                vm.config.disk_queue_size, kMaxQueueSize);
  }
  return {};
}

Result<void> check_disk(const DiskPlan& disk) {
  if (!is_node_name(disk.node) || disk.path.empty() || disk.path.find('/') != std::string::npos) {
    return fail(ErrorKind::kCorrupt, "disk \"{}\" with node \"{}\"", disk.path, disk.node);
  }
  if (disk.slot < kFirstFreeSlot || disk.slot > kLastFreeSlot) {
    return fail(ErrorKind::kCorrupt, "disk \"{}\" in slot {}", disk.path, disk.slot);
  }
  if (disk.queues < 1 || disk.queues > kMaxQueues || !is_queue_size(disk.queue_size)) {
    return fail(ErrorKind::kCorrupt, "disk \"{}\" with {} queues of {}", disk.path, disk.queues,
                disk.queue_size);
  }
  return {};
}

Result<void> check_nic(const NicPlan& nic, int expected_slot) {
  bool good_size = nic.queue_size >= 256 && nic.queue_size <= kMaxRxQueueSize &&
                   std::has_single_bit(static_cast<unsigned>(nic.queue_size));
  if (nic.slot == expected_slot && nic.queue_pairs >= 1 && nic.queue_pairs <= kMaxPairs &&
      good_size) {
    return {};
  }
  return fail(ErrorKind::kCorrupt, "NIC in slot {} with {} queue pairs of {}", nic.slot,
              nic.queue_pairs, nic.queue_size);
}

// No two disks may share a file, a node or a slot.
bool are_distinct(const std::vector<DiskPlan>& disks) {
  std::set<std::string_view> paths;
  std::set<std::string_view> nodes;
  std::set<int> slots;
  return std::all_of(disks.begin(), disks.end(), [&](const DiskPlan& disk) {
    return paths.insert(disk.path).second && nodes.insert(disk.node).second &&
           slots.insert(disk.slot).second;
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
  bool good = plan.queue_size >= 256 && plan.queue_size <= kMaxRxQueueSize &&
              std::has_single_bit(static_cast<unsigned>(plan.queue_size));
  if (!good) {
    return fail(ErrorKind::kInvalid, "queue size {} is no power of two from 256 to {}",
                plan.queue_size, kMaxRxQueueSize);
  }
  if (plan.queue_pairs > kMaxPairs) {
    return fail(ErrorKind::kUnsupported, "{} queue pairs; {} is the limit", plan.queue_pairs,
                kMaxPairs);
  }
  return plan;
}

Result<void> check_plan(const Plan& plan) {
  if (plan.vcpus < 1 || plan.vcpus > kMaxCpus) {
    return fail(ErrorKind::kCorrupt, "{} vCPUs", plan.vcpus);
  }
  if (plan.memory < kMiB || plan.memory % kMiB != 0) {
    return fail(ErrorKind::kCorrupt, "{} bytes of memory", plan.memory);
  }
  if (plan.root_ports < 0 || plan.root_ports > kMaxRootPorts) {
    return fail(ErrorKind::kCorrupt, "{} root ports", plan.root_ports);
  }
  if (!is_model_name(plan.kvm_cpu) || !is_model_name(plan.tcg_cpu)) {
    return fail(ErrorKind::kCorrupt, "CPU models \"{}\" and \"{}\"", plan.kvm_cpu, plan.tcg_cpu);
  }
  if (plan.machine.major < 1 || plan.machine.minor < 0) {
    return fail(ErrorKind::kCorrupt, "machine version {}", plan.machine.to_string());
  }
  for (const DiskPlan& disk : plan.disks) COCOON_TRY(check_disk(disk));
  if (!are_distinct(plan.disks)) {
    return fail(ErrorKind::kCorrupt, "two disks in one place");
  }
  int slot = kFirstNicSlot;
  for (const NicPlan& nic : plan.nics) COCOON_TRY(check_nic(nic, slot++));
  return check_nic_room(plan);
}

nlohmann::json disk_to_json(const DiskPlan& disk) {
  return {{"path", disk.path},
          {"node", disk.node},
          {"slot", disk.slot},
          {"queues", disk.queues},
          {"queue_size", disk.queue_size}};
}

Result<std::vector<DiskPlan>> parse_disks(const nlohmann::json* list) {
  std::vector<DiskPlan> disks;
  if (list == nullptr) return disks;
  if (!list->is_array() || list->size() > static_cast<std::size_t>(kFreeSlots)) {
    return fail(ErrorKind::kCorrupt, "not a list of at most {} disks", kFreeSlots);
  }
  for (const nlohmann::json& element : *list) {
    DiskPlan disk;
    model::Fields fields(element, "disk");
    fields.get("path", disk.path);
    fields.get("node", disk.node);
    fields.get("slot", disk.slot);
    fields.get("queues", disk.queues);
    fields.get("queue_size", disk.queue_size);
    COCOON_TRY(fields.check());
    disks.push_back(std::move(disk));
  }
  return disks;
}

Result<std::vector<NicPlan>> parse_nics(const nlohmann::json* list) {
  std::vector<NicPlan> nics;
  if (list == nullptr) return nics;
  if (!list->is_array() || list->size() > static_cast<std::size_t>(model::kMaxNics)) {
    return fail(ErrorKind::kCorrupt, "not a list of at most {} NICs", model::kMaxNics);
  }
  for (const nlohmann::json& element : *list) {
    NicPlan nic;
    model::Fields fields(element, "NIC");
    fields.get("slot", nic.slot);
    fields.get("queue_pairs", nic.queue_pairs);
    fields.get("queue_size", nic.queue_size);
    COCOON_TRY(fields.check());
    nics.push_back(nic);
  }
  return nics;
}

Result<Plan> parse_fields(const model::DevicePlan& json) {
  Plan plan;
  int format = 0;
  std::string kind;
  model::Fields fields(json, "plan");
  fields.get("backend", kind);
  fields.get("format", format);
  fields.get("machine_major", plan.machine.major);
  fields.get("machine_minor", plan.machine.minor);
  fields.get("cpu_kvm", plan.kvm_cpu);
  fields.get("cpu_tcg", plan.tcg_cpu);
  fields.get("vcpus", plan.vcpus);
  fields.get("memory", plan.memory);
  fields.get("root_ports", plan.root_ports);
  COCOON_TRY(fields.check());
  if (kind != "qemu" || format < kFormatWithoutNics || format > kFormat) {
    return fail(ErrorKind::kCorrupt, "plan of \"{}\" in format {}", kind, format);
  }
  plan.disks = COCOON_TRY(parse_disks(fields.find("disks")));
  plan.nics = COCOON_TRY(parse_nics(fields.find("nics")));
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
  int queue_size = vm.config.disk_queue_size == 0 ? kDefaultQueueSize : vm.config.disk_queue_size;
  for (std::size_t index = 0; index < vm.disks.size(); ++index) {
    const model::Disk& disk = vm.disks[index];
    // A read-only layer is mostly served from the guest's page cache: one queue will do.
    int queues = disk.read_only ? 1 : std::min(vm.config.cpu, kMaxQueues);
    plan.disks.push_back({disk.path, node_name(disk, index),
                          kFirstFreeSlot + static_cast<int>(index), queues, queue_size});
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

model::DevicePlan plan_to_json(const Plan& plan) {
  nlohmann::json disks = nlohmann::json::array();
  for (const DiskPlan& disk : plan.disks) disks.push_back(disk_to_json(disk));
  nlohmann::json nics = nlohmann::json::array();
  for (const NicPlan& nic : plan.nics) {
    nics.push_back(
        {{"slot", nic.slot}, {"queue_pairs", nic.queue_pairs}, {"queue_size", nic.queue_size}});
  }
  nlohmann::json out = {{"backend", "qemu"},
                        {"format", plan.nics.empty() ? kFormatWithoutNics : kFormat},
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
  auto plan = parse_fields(json);
  if (!plan) return pass(plan.error(), "read the stored device plan");
  return plan;
}

}  // namespace cocoon::vmm::qemu
