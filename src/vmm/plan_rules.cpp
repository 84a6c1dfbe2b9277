// SPDX-License-Identifier: Apache-2.0
#include "vmm/plan_rules.h"

#include <bit>

#include "base/units.h"

namespace cocoon::vmm {
namespace {

bool is_memory_size(std::int64_t bytes) { return bytes >= kMiB && bytes % kMiB == 0; }

}  // namespace

bool is_queue_size(int size, int least) {
  return size >= least && size <= kMaxQueueSize && std::has_single_bit(static_cast<unsigned>(size));
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name.find('/') == std::string_view::npos;
}

Result<void> check_size(const model::Vm& vm, std::string_view product, int max_cpus) {
  if (vm.config.cpu < 1 || vm.config.cpu > max_cpus) {
    return fail(ErrorKind::kUnsupported, "{} vCPUs, but a {} guest has 1 to {}", vm.config.cpu,
                product, max_cpus);
  }
  if (is_memory_size(vm.config.memory)) return {};
  return fail(ErrorKind::kInvalid, "memory of {} bytes is no multiple of 1 MiB", vm.config.memory);
}

Result<void> check_disk_queue_size(const model::Vm& vm) {
  if (vm.config.disk_queue_size == 0 || is_queue_size(vm.config.disk_queue_size)) return {};
  return fail(ErrorKind::kInvalid, "disk queue size {} is no power of two from 4 to {}",
              vm.config.disk_queue_size, kMaxQueueSize);
}

std::string and_nics(const model::Vm& vm) {
  return vm.nics.empty() ? "" : fmt::format(" and {} NICs", vm.nics.size());
}

Result<void> read_plan_head(model::Fields& fields, std::string_view backend, int& vcpus,
                            std::int64_t& memory) {
  int format = 0;
  std::string kind;
  fields.get("backend", kind);
  fields.get("format", format);
  fields.get("vcpus", vcpus);
  fields.get("memory", memory);
  COCOON_TRY(fields.check());
  if (kind == backend && format >= kPlanFormatWithoutNics && format <= kPlanFormat) return {};
  return fail(ErrorKind::kCorrupt, "plan of \"{}\" in format {}", kind, format);
}

Result<void> check_stored_size(int vcpus, std::int64_t memory, int max_cpus) {
  if (vcpus < 1 || vcpus > max_cpus) return fail(ErrorKind::kCorrupt, "{} vCPUs", vcpus);
  if (is_memory_size(memory)) return {};
  return fail(ErrorKind::kCorrupt, "{} bytes of memory", memory);
}

}  // namespace cocoon::vmm
