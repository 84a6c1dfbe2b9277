// SPDX-License-Identifier: Apache-2.0
// Which Firecracker is installed, and what follows from its version.
#pragma once

#include <string_view>

#include "base/error.h"
#include "vmm/capabilities.h"

namespace cocoon::vmm::firecracker {

// The balloon's free page reporting, which every guest of ours has, came with it.
inline constexpr Version kOldest{1, 14, 0};
// From here on a compressed kernel (bzImage) boots as it is.
inline constexpr Version kBootsBzImage{1, 17, 0};

// "Firecracker v1.16.1" -> 1.16.1. kUnsupported for any other text.
Result<Version> parse_version(std::string_view line);

// What a Firecracker of this version can do. kUnsupported below kOldest.
Result<Capabilities> capabilities_of(const Version& version);

}  // namespace cocoon::vmm::firecracker
