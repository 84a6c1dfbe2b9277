// SPDX-License-Identifier: Apache-2.0
#include "vmm/capabilities.h"

#include <fmt/format.h>

namespace cocoon::vmm {

std::string Version::to_string() const { return fmt::format("{}.{}.{}", major, minor, patch); }

}  // namespace cocoon::vmm
