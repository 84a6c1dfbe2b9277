// SPDX-License-Identifier: Apache-2.0
// What a launch takes from the host that it happens on.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "vmm/capabilities.h"

namespace cocoon::vmm::cloud_hypervisor {

struct Host {
  Version version;        // of the installed program
  bool landlock = false;  // the kernel can confine the VMM to its directory
  // The size of the huge pages that this guest's memory fits into; 0: it does not.
  std::int64_t huge_page_size = 0;
};

// Does the kernel have Landlock as Cloud Hypervisor wants it, and is it on?
bool has_landlock();

// The size of the huge pages that `memory` bytes fit into, of those that are free and not promised
// to anybody; 0 when they do not fit, when the size is no whole number of them, and for anything
// that is not understood. `meminfo`: the text of /proc/meminfo.
std::int64_t fitting_huge_page(std::string_view meminfo, std::int64_t memory);

// Where a process without privileges gets the right to serve a guest's page faults.
inline constexpr const char* kUserfaultfd = "/dev/userfaultfd";

struct FaultAccess {
  bool everybody = false;  // sysctl vm.unprivileged_userfaultfd
  bool device = false;     // there is a kUserfaultfd
  bool opens = false;      // and the VMM can open it
};

// For a VMM of that uid (= gid) and the group of /dev/kvm.
FaultAccess look_at_userfaultfd(std::uint32_t uid);

// kUnsupported with the remedy: it could not.
Result<void> check_userfaultfd(const FaultAccess& access);

}  // namespace cocoon::vmm::cloud_hypervisor
