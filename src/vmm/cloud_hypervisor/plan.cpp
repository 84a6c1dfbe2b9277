// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/plan.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "vmm/plan_rules.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

constexpr const char* kKind = "cloud-hypervisor";
constexpr int kSlots = 32;  // of a PCI segment
constexpr int kDefaultQueueSize = 512;
constexpr int kMaxQueues = 16;
constexpr std::size_t kMaxId = 63;

// Host bridge, entropy, vsock, watchdog; balloon; virtio console.
int fixed_slots(const model::Vm& vm) {
  constexpr int kAlways = 4;
  return kAlways + (vm.config.windows ? 0 : 1) + (vm.boot.firmware.empty() ? 1 : 0);
}

bool is_device_id(std::string_view text) {
  auto good = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
  };
  // "_disk0": what Cloud Hypervisor calls one that was given none.
  return text.size() <= kMaxId && (text.starts_with("disk") || text.starts_with("_disk")) &&
         std::all_of(text.begin(), text.end(), good);
}

bool has_id(const Plan& plan, std::string_view id) {
  return std::any_of(plan.disks.begin(), plan.disks.end(),
                     [id](const DiskPlan& disk) { return disk.id == id; });
}

// "data-db.raw" -> "disk-data-db". A name that makes no ID gives way to its place in the list, or
// the next that is free.
std::string device_id(const Plan& plan, const model::Disk& disk, std::size_t index) {
  std::string id = "disk-" + disk.path.substr(0, disk.path.find('.'));
  while (!is_device_id(id) || has_id(plan, id)) id = fmt::format("disk{}", index++);
  return id;
}

DiskPlan plan_disk(const Plan& plan, const model::Vm& vm, std::size_t index) {
  const model::Disk& disk = vm.disks[index];
  DiskPlan out;
  out.path = disk.path;
  out.id = device_id(plan, disk, index);
  // A read-only layer is mostly served from the guest's page cache: one queue will do.
  out.queues = disk.read_only ? 1 : std::min(vm.config.cpu, kMaxQueues);
  out.queue_size = vm.config.disk_queue_size == 0 ? kDefaultQueueSize : vm.config.disk_queue_size;
  return out;
}

Result<void> check_limits(const model::Vm& vm) {
  if (vm.disks.size() + vm.nics.size() > static_cast<std::size_t>(free_slots(vm))) {
    return fail(
        ErrorKind::kUnsupported,
        "{} disks{}, but a Cloud Hypervisor guest of this kind has places for {} (of its {} "
        "PCI slots {} are taken)",
        vm.disks.size(), and_nics(vm), free_slots(vm), kSlots, fixed_slots(vm));
  }
  COCOON_TRY(check_size(vm, "Cloud Hypervisor", kMaxCpus));
  return check_disk_queue_size(vm);
}

// Each vCPU may have a pair of queues, no more.
Result<NicPlan> plan_nic(const model::Nic& nic, int vcpus, int wanted_size) {
  NicPlan plan;
  plan.queue_pairs = nic.queue_pairs();
  if (wanted_size != 0) plan.queue_size = wanted_size;
  if (!is_queue_size(plan.queue_size)) {
    return fail(ErrorKind::kInvalid, "queue size {} is no power of two from 4 to {}",
                plan.queue_size, kMaxQueueSize);
  }
  if (plan.queue_pairs > vcpus) {
    return fail(ErrorKind::kUnsupported, "{} queue pairs for {} vCPUs", plan.queue_pairs, vcpus);
  }
  return plan;
}

// No two disks may share a file or an ID.
bool are_distinct(const std::vector<DiskPlan>& disks) {
  std::set<std::string_view> paths, ids;
  return std::all_of(disks.begin(), disks.end(), [&](const DiskPlan& disk) {
    return paths.insert(disk.path).second && ids.insert(disk.id).second;
  });
}

Result<void> check_disk(const DiskPlan& disk, int vcpus) {
  if (!is_device_id(disk.id) || !is_file_name(disk.path)) {
    return fail(ErrorKind::kCorrupt, "disk \"{}\" with ID \"{}\"", disk.path, disk.id);
  }
  // Ours have at most kMaxQueues; those of the original engine one for each vCPU.
  if (disk.queues < 1 || disk.queues > vcpus || !is_queue_size(disk.queue_size)) {
    return fail(ErrorKind::kCorrupt, "disk \"{}\" with {} queues of {}", disk.path, disk.queues,
                disk.queue_size);
  }
  return {};
}

Result<void> check_plan(const Plan& plan) {
  COCOON_TRY(check_stored_size(plan.vcpus, plan.memory, kMaxCpus));
  for (const DiskPlan& disk : plan.disks) COCOON_TRY(check_disk(disk, plan.vcpus));
  if (!are_distinct(plan.disks)) return fail(ErrorKind::kCorrupt, "two disks with one name");
  for (const NicPlan& nic : plan.nics) {
    if (nic.queue_pairs >= 1 && nic.queue_pairs <= plan.vcpus && is_queue_size(nic.queue_size)) {
      continue;
    }
    return fail(ErrorKind::kCorrupt, "NIC with {} queue pairs of {}", nic.queue_pairs,
                nic.queue_size);
  }
  return {};
}

void read_disk(model::Fields& fields, DiskPlan& disk) {
  fields.get("path", disk.path);
  fields.get("id", disk.id);
  fields.get("queues", disk.queues);
  fields.get("queue_size", disk.queue_size);
}

void read_nic(model::Fields& fields, NicPlan& nic) {
  fields.get("queue_pairs", nic.queue_pairs);
  fields.get("queue_size", nic.queue_size);
}

Result<Plan> parse_parts(const model::DevicePlan& json) {
  Plan plan;
  model::Fields fields(json, "plan");
  COCOON_TRY(read_plan_head(fields, kKind, plan.vcpus, plan.memory));
  plan.disks =
      COCOON_TRY(parse_plan_list<DiskPlan>(fields.find("disks"), kSlots, "disk", read_disk));
  plan.nics =
      COCOON_TRY(parse_plan_list<NicPlan>(fields.find("nics"), model::kMaxNics, "NIC", read_nic));
  fields.get("vsock", plan.vsock);
  COCOON_TRY(fields.check());
  COCOON_TRY(check_plan(plan));
  return plan;
}

}  // namespace

int free_slots(const model::Vm& vm) { return kSlots - fixed_slots(vm); }

Result<Plan> make_plan(const model::Vm& vm) {
  COCOON_TRY(check_limits(vm));
  Plan plan;
  plan.vcpus = vm.config.cpu;
  plan.memory = vm.config.memory;
  for (std::size_t index = 0; index < vm.disks.size(); ++index) {
    plan.disks.push_back(plan_disk(plan, vm, index));
  }
  if (!are_distinct(plan.disks)) return fail(ErrorKind::kInvalid, "two disks with one name");
  return replan_nics(plan, vm);
}

Result<Plan> replan_nics(const Plan& plan, const model::Vm& vm) {
  COCOON_TRY(check_limits(vm));
  Plan out = plan;
  out.nics.resize(std::min(plan.nics.size(), vm.nics.size()));
  for (std::size_t index = out.nics.size(); index < vm.nics.size(); ++index) {
    out.nics.push_back(
        COCOON_TRY(plan_nic(vm.nics[index], plan.vcpus, vm.config.queue_size), "NIC {}", index));
  }
  return out;
}

Result<Plan> replan_disks(const Plan& plan, const model::Vm& vm) {
  COCOON_TRY(check_limits(vm));
  Plan out = plan;
  drop_lost_disks(out.disks, vm);
  for (std::size_t index = 0; index < vm.disks.size(); ++index) {
    if (index < out.disks.size() && out.disks[index].path == vm.disks[index].path) continue;
    out.disks.insert(out.disks.begin() + static_cast<std::ptrdiff_t>(index),
                     plan_disk(out, vm, index));
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
  for (const DiskPlan& disk : plan.disks) {
    disks.push_back({{"path", disk.path},
                     {"id", disk.id},
                     {"queues", disk.queues},
                     {"queue_size", disk.queue_size}});
  }
  nlohmann::json nics = nlohmann::json::array();
  for (const NicPlan& nic : plan.nics) {
    nics.push_back({{"queue_pairs", nic.queue_pairs}, {"queue_size", nic.queue_size}});
  }
  nlohmann::json out = {{"backend", kKind},
                        {"format", plan.nics.empty() ? kPlanFormatWithoutNics : kPlanFormat},
                        {"vcpus", plan.vcpus},
                        {"memory", plan.memory},
                        {"disks", std::move(disks)}};
  if (!plan.nics.empty()) out["nics"] = std::move(nics);
  if (!plan.vsock) out["vsock"] = false;
  return out;
}

Result<Plan> parse_plan(const model::DevicePlan& json) {
  return COCOON_TRY(parse_parts(json), "read the stored device plan");
}

}  // namespace cocoon::vmm::cloud_hypervisor
