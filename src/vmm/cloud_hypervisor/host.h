// SPDX-License-Identifier: Apache-2.0
// What a launch takes from the host that it happens on.
#pragma once

#include <cstdint>
#include <string_view>

#include "vmm/capabilities.h"

namespace cocoon::vmm::cloud_hypervisor {

struct Host {
  Version version;          // of the installed program
  bool landlock = false;    // the kernel can confine the VMM to its directory
  bool huge_pages = false;  // this guest's memory fits into free huge pages
};

// Does the kernel have Landlock as Cloud Hypervisor wants it, and is it on?
bool has_landlock();

// Would `memory` bytes fit into the huge pages that are free and not promised to anybody?
// `meminfo`: the text of /proc/meminfo. No for anything that is not understood, and for a size that
// is no whole number of huge pages.
bool fits_huge_pages(std::string_view meminfo, std::int64_t memory);

}  // namespace cocoon::vmm::cloud_hypervisor
