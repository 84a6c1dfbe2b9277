// SPDX-License-Identifier: Apache-2.0
#include "vmm/firecracker/plan.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

#include "vmm/plan_rules.h"

namespace cocoon::vmm::firecracker {
namespace {

constexpr const char* kKind = "firecracker";

// Not what a configuration says wrong, but what this VMM cannot do.
Result<void> check_abilities(const model::Vm& vm) {
  if (!vm.boot.firmware.empty() || vm.config.windows) {
    return fail(ErrorKind::kUnsupported, "firecracker has no UEFI firmware (capability uefi)");
  }
  for (const model::Disk& disk : vm.disks) {
    if (disk.backing.empty()) continue;
    return fail(ErrorKind::kUnsupported, "disk \"{}\": firecracker has no qcow2 (capability qcow2)",
                disk.path);
  }
  if (vm.memory_backing == "file") {
    return fail(ErrorKind::kUnsupported,
                "--memory-backing file: firecracker keeps guest memory in no file");
  }
  return {};
}

Result<void> check_limits(const model::Vm& vm) {
  if (vm.disks.size() + vm.nics.size() > kMaxDisks) {
    return fail(
        ErrorKind::kUnsupported,
        "{} disks{}, but a Firecracker guest has places for {} ({} virtio devices in all, {} "
        "of them fixed)",
        vm.disks.size(), and_nics(vm), kMaxDisks, kMaxDevices, kFixedDevices);
  }
  return check_size(vm, "Firecracker", kMaxCpus);
}

bool is_drive_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  });
}

std::string free_id(const Plan& plan) {
  std::size_t number = 0;
  auto is_taken = [&plan](const std::string& id) {
    return std::any_of(plan.drives.begin(), plan.drives.end(),
                       [&id](const DrivePlan& drive) { return drive.id == id; });
  };
  std::string id;
  do id = fmt::format("drive_{}", number++);
  while (is_taken(id));
  return id;
}

// No two drives may share a file or an id.
bool are_distinct(const std::vector<DrivePlan>& drives) {
  std::set<std::string_view> paths;
  std::set<std::string_view> ids;
  return std::all_of(drives.begin(), drives.end(), [&](const DrivePlan& drive) {
    return paths.insert(drive.path).second && ids.insert(drive.id).second;
  });
}

Result<void> check_plan(const Plan& plan) {
  COCOON_TRY(check_stored_size(plan.vcpus, plan.memory, kMaxCpus));
  for (const DrivePlan& drive : plan.drives) {
    if (is_file_name(drive.path) && is_drive_id(drive.id)) continue;
    return fail(ErrorKind::kCorrupt, "drive \"{}\" with id \"{}\"", drive.path, drive.id);
  }
  if (!are_distinct(plan.drives)) return fail(ErrorKind::kCorrupt, "two drives in one place");
  if (plan.nics > static_cast<std::size_t>(model::kMaxNics)) {
    return fail(ErrorKind::kCorrupt, "{} NICs", plan.nics);
  }
  return {};
}

void read_drive(model::Fields& fields, DrivePlan& drive) {
  fields.get("path", drive.path);
  fields.get("id", drive.id);
}

Result<Plan> parse_parts(const model::DevicePlan& json) {
  Plan plan;
  std::int64_t nics = 0;
  model::Fields fields(json, "plan");
  fields.get("nics", nics);
  COCOON_TRY(read_plan_head(fields, kKind, plan.vcpus, plan.memory));
  // A negative number becomes one that check_plan refuses.
  plan.nics = static_cast<std::size_t>(nics);
  plan.drives =
      COCOON_TRY(parse_plan_list<DrivePlan>(fields.find("drives"), kMaxDisks, "drive", read_drive));
  COCOON_TRY(check_plan(plan));
  return plan;
}

}  // namespace

Result<Plan> make_plan(const model::Vm& vm) {
  COCOON_TRY(check_abilities(vm));
  COCOON_TRY(check_limits(vm));
  Plan plan;
  plan.vcpus = vm.config.cpu;
  plan.memory = vm.config.memory;
  for (const model::Disk& disk : vm.disks) {
    plan.drives.push_back({disk.path, fmt::format("drive_{}", plan.drives.size())});
  }
  if (!are_distinct(plan.drives)) return fail(ErrorKind::kInvalid, "two disks with one name");
  return replan_nics(plan, vm);
}

Result<Plan> replan_nics(const Plan& plan, const model::Vm& vm) {
  COCOON_TRY(check_limits(vm));
  for (const model::Nic& nic : vm.nics) {
    if (nic.queue_pairs() == 1) continue;
    return fail(ErrorKind::kUnsupported, "{} queue pairs: a Firecracker NIC has one",
                nic.queue_pairs());
  }
  Plan out = plan;
  out.nics = vm.nics.size();
  return out;
}

Result<Plan> replan_disks(const Plan& plan, const model::Vm& vm) {
  COCOON_TRY(check_limits(vm));
  Plan out = plan;
  drop_lost_disks(out.drives, vm);
  for (std::size_t index = 0; index < vm.disks.size(); ++index) {
    const std::string& path = vm.disks[index].path;
    if (index < out.drives.size() && out.drives[index].path == path) continue;
    out.drives.insert(out.drives.begin() + static_cast<std::ptrdiff_t>(index),
                      {path, free_id(out)});
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
  nlohmann::json drives = nlohmann::json::array();
  for (const DrivePlan& drive : plan.drives) {
    drives.push_back({{"path", drive.path}, {"id", drive.id}});
  }
  nlohmann::json out = {{"backend", kKind},
                        {"format", plan.nics == 0 ? kPlanFormatWithoutNics : kPlanFormat},
                        {"vcpus", plan.vcpus},
                        {"memory", plan.memory},
                        {"drives", std::move(drives)}};
  if (plan.nics > 0) out["nics"] = plan.nics;
  return out;
}

Result<Plan> parse_plan(const model::DevicePlan& json) {
  return COCOON_TRY(parse_parts(json), "read the stored device plan");
}

}  // namespace cocoon::vmm::firecracker
