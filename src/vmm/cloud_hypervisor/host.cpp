// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/host.h"

#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>

#include "base/text.h"
#include "sys/files.h"

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

// May a process with this uid = gid and this further group read and write it?
bool may_open(const struct stat& file, std::uint32_t uid, gid_t group) {
  auto grants = [&file](mode_t bits) { return (file.st_mode & bits) == bits; };
  if (file.st_uid == uid) return grants(S_IRUSR | S_IWUSR);
  if (file.st_gid == uid || file.st_gid == group) return grants(S_IRGRP | S_IWGRP);
  return grants(S_IROTH | S_IWOTH);
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

FaultAccess look_at_userfaultfd(std::uint32_t uid) {
  FaultAccess access;
  auto knob = sys::read_file("/proc/sys/vm/unprivileged_userfaultfd", 64);
  access.everybody = knob && trim(*knob) == "1";
  struct stat device {
  }, kvm{};
  access.device = stat(kUserfaultfd, &device) == 0;
  gid_t group = stat("/dev/kvm", &kvm) == 0 ? kvm.st_gid : uid;
  access.opens = access.device && may_open(device, uid, group);
  return access;
}

Result<void> check_userfaultfd(const FaultAccess& access) {
  if (access.everybody || access.opens) return {};
  return fail(ErrorKind::kUnsupported,
              "an unprivileged VMM may not serve page faults (userfaultfd) here; {}set the sysctl "
              "vm.unprivileged_userfaultfd=1",
              access.device ? fmt::format("give {} to the group of /dev/kvm with mode 0660, or ",
                                          kUserfaultfd)
                            : "");
}

}  // namespace cocoon::vmm::cloud_hypervisor
