// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/host.h"

#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>

#include "base/text.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

// The number in a line "Name:    123 kB".
std::optional<std::int64_t> field(std::string_view meminfo, std::string_view name) {
  for (std::string_view line : split(meminfo, '\n')) {
    if (!line.starts_with(name) || !line.substr(name.size()).starts_with(':')) continue;
    std::string_view value = trim(line.substr(name.size() + 1));
    auto number = parse_decimal(value.substr(0, value.find(' ')));
    constexpr std::uint64_t kMax = std::uint64_t{1} << 40;
    if (!number || *number > kMax) return std::nullopt;
    return static_cast<std::int64_t>(*number);
  }
  return std::nullopt;
}

}  // namespace

bool has_landlock() {
  // Cloud Hypervisor demands the right to truncate, which came with the third version (Linux 6.2).
  constexpr long kNeeded = 3;
  return syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >=
         kNeeded;
}

std::int64_t fitting_huge_page(std::string_view meminfo, std::int64_t memory) {
  auto kilobytes = field(meminfo, "Hugepagesize");
  auto free = field(meminfo, "HugePages_Free");
  auto promised = field(meminfo, "HugePages_Rsvd");
  if (!kilobytes || !free || !promised || *kilobytes == 0) return 0;
  std::int64_t page = *kilobytes << 10;
  return memory % page == 0 && *free - *promised >= memory / page ? page : 0;
}

}  // namespace cocoon::vmm::cloud_hypervisor
