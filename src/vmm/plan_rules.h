// SPDX-License-Identifier: Apache-2.0
// What the device plans of all backends have in common. Each backend's own plan.h says what is in
// its plans.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/json_fields.h"
#include "model/vm.h"

namespace cocoon::vmm {

// 2: with NICs. A plan without any is written as 1, which it equals.
inline constexpr int kPlanFormat = 2;
inline constexpr int kPlanFormatWithoutNics = 1;

inline constexpr int kMaxQueueSize = 1024;  // VIRTQUEUE_MAX_SIZE of the VMMs

// A power of two that is no larger than that.
bool is_queue_size(int size, int least = 4);

// May it name a file of the VM directory?
bool is_file_name(std::string_view name);

// What a record asks for. kUnsupported: more vCPUs than a guest of `product` can have; kInvalid:
// memory that is no multiple of 1 MiB.
Result<void> check_size(const model::Vm& vm, std::string_view product, int max_cpus);
// kInvalid: no power of two. 0 is the backend's own choice.
Result<void> check_disk_queue_size(const model::Vm& vm);

// " and 2 NICs", for messages that count disks; empty without any.
std::string and_nics(const model::Vm& vm);

// Reads what every stored plan begins with, and checks all that was read of `fields` until then.
// kCorrupt: it is of another backend or in an unknown format.
Result<void> read_plan_head(model::Fields& fields, std::string_view backend, int& vcpus,
                            std::int64_t& memory);
// The same rules as check_size, for what was read. kCorrupt.
Result<void> check_stored_size(int vcpus, std::int64_t memory, int max_cpus);

// A list in a stored plan; none is an empty one. `read` takes an item out of its fields; `noun`
// names it. kCorrupt: more than `most`, or not what `read` expects.
template <class Item, class Read>
Result<std::vector<Item>> parse_plan_list(const nlohmann::json* list, std::size_t most,
                                          std::string_view noun, const Read& read) {
  std::vector<Item> items;
  if (list == nullptr) return items;
  if (!list->is_array() || list->size() > most) {
    return fail(ErrorKind::kCorrupt, "not a list of at most {} {}s", most, noun);
  }
  for (const nlohmann::json& element : *list) {
    Item item;
    model::Fields fields(element, noun);
    read(fields, item);
    COCOON_TRY(fields.check());
    items.push_back(std::move(item));
  }
  return items;
}

// Takes the disks that the record has no more out of a plan's.
template <class Disk>
void drop_lost_disks(std::vector<Disk>& planned, const model::Vm& vm) {
  std::erase_if(planned, [&vm](const Disk& disk) {
    return std::none_of(vm.disks.begin(), vm.disks.end(),
                        [&disk](const model::Disk& other) { return other.path == disk.path; });
  });
}

// A disk of the record and its place in the plan.
template <class Disk>
struct PlacedDisk {
  const model::Disk* disk = nullptr;  // the record's, and valid as long
  Disk place;
};

// The disk with this path. kCorrupt: record or plan has none.
template <class Disk>
Result<PlacedDisk<Disk>> find_placed_disk(const model::Vm& vm, const std::vector<Disk>& planned,
                                          const std::string& path) {
  auto is_it = [&path](const auto& disk) { return disk.path == path; };
  auto disk = std::find_if(vm.disks.begin(), vm.disks.end(), is_it);
  auto place = std::find_if(planned.begin(), planned.end(), is_it);
  if (disk != vm.disks.end() && place != planned.end()) return PlacedDisk<Disk>{&*disk, *place};
  return fail(ErrorKind::kCorrupt, "the device plan has no disk \"{}\"", path);
}

}  // namespace cocoon::vmm
