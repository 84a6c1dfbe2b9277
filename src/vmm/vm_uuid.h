// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon::vmm {

// The UUID that a guest finds in its firmware tables: the first 128 bits of the VM's ID with the
// version and variant of a random UUID, since an ID is random. kInvalid when it is no ID.
Result<std::string> vm_uuid(std::string_view id);

}  // namespace cocoon::vmm
