// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/plan.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <set>

#include "base/units.h"
#include "model/json_fields.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

// 2: with NICs. A plan without any is written as 1, which it equals.
constexpr int kFormat = 2;
constexpr int kFormatWithoutNics = 1;
constexpr int kSlots = 32;  // of a PCI segment
constexpr int kDefaultQueueSize = 512;
constexpr int kMaxQueueSize = 1024;
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

bool is_queue_size(int size) {
  return size >= 4 && size <= kMaxQueueSize && std::has_single_bit(static_cast<unsigned>(size));
}

std::string and_nics(const model::Vm& vm) {
  return vm.nics.empty() ? "" : fmt::format(" and {} NICs", vm.nics.size());
}

Result<void> check_limits(const model::Vm& vm) {
  if (vm.disks.size() + vm.nics.size() > static_cast<std::size_t>(free_slots(vm))) {
    return fail(
        ErrorKind::kUnsupported,
        "{} disks{}, but a Cloud Hypervisor guest of this kind has places for {} (of its {} "
        "PCI slots {} are taken)",
        vm.disks.size(), and_nics(vm), free_slots(vm), kSlots, fixed_slots(vm));
  }
  if (vm.config.cpu < 1 || vm.config.cpu > kMaxCpus) {
    return fail(ErrorKind::kUnsupported, "{} vCPUs, but a Cloud Hypervisor guest has 1 to {}",
                vm.config.cpu, kMaxCpus);
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
  if (!is_device_id(disk.id) || disk.path.empty() || disk.path.find('/') != std::string::npos) {
    return fail(ErrorKind::kCorrupt, "disk \"{}\" with ID \"{}\"", disk.path, disk.id);
  }
  if (disk.queues < 1 || disk.queues > std::min(vcpus, kMaxQueues) ||
      !is_queue_size(disk.queue_size)) {
    return fail(ErrorKind::kCorrupt, "disk \"{}\" with {} queues of {}", disk.path, disk.queues,
                disk.queue_size);
  }
  return {};
}

Result<void> check_plan(const Plan& plan) {
  if (plan.vcpus < 1 || plan.vcpus > kMaxCpus) {
    return fail(ErrorKind::kCorrupt, "{} vCPUs", plan.vcpus);
  }
  if (plan.memory < kMiB || plan.memory % kMiB != 0) {
    return fail(ErrorKind::kCorrupt, "{} bytes of memory", plan.memory);
  }
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

Result<std::vector<DiskPlan>> parse_disks(const nlohmann::json* list) {
  std::vector<DiskPlan> disks;
  if (list == nullptr) return disks;
  if (!list->is_array() || list->size() > static_cast<std::size_t>(kSlots)) {
    return fail(ErrorKind::kCorrupt, "not a list of at most {} disks", kSlots);
  }
  for (const nlohmann::json& element : *list) {
    DiskPlan disk;
    model::Fields fields(element, "disk");
    fields.get("path", disk.path);
    fields.get("id", disk.id);
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
    fields.get("queue_pairs", nic.queue_pairs);
    fields.get("queue_size", nic.queue_size);
    COCOON_TRY(fields.check());
    nics.push_back(nic);
  }
  return nics;
}

Result<Plan> parse_parts(const model::DevicePlan& json) {
  Plan plan;
  int format = 0;
  std::string kind;
  model::Fields fields(json, "plan");
  fields.get("backend", kind);
  fields.get("format", format);
  fields.get("vcpus", plan.vcpus);
  fields.get("memory", plan.memory);
  COCOON_TRY(fields.check());
  if (kind != "cloud-hypervisor" || format < kFormatWithoutNics || format > kFormat) {
    return fail(ErrorKind::kCorrupt, "plan of \"{}\" in format {}", kind, format);
  }
  plan.disks = COCOON_TRY(parse_disks(fields.find("disks")));
  plan.nics = COCOON_TRY(parse_nics(fields.find("nics")));
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
  std::erase_if(out.disks, [&vm](const DiskPlan& disk) {
    return std::none_of(vm.disks.begin(), vm.disks.end(),
                        [&disk](const model::Disk& other) { return other.path == disk.path; });
  });
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
  nlohmann::json out = {{"backend", "cloud-hypervisor"},
                        {"format", plan.nics.empty() ? kFormatWithoutNics : kFormat},
                        {"vcpus", plan.vcpus},
                        {"memory", plan.memory},
                        {"disks", std::move(disks)}};
  if (!plan.nics.empty()) out["nics"] = std::move(nics);
  return out;
}

Result<Plan> parse_plan(const model::DevicePlan& json) {
  auto plan = parse_parts(json);
  if (!plan) return pass(plan.error(), "read the stored device plan");
  return plan;
}

}  // namespace cocoon::vmm::cloud_hypervisor
