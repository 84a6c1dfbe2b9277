// SPDX-License-Identifier: Apache-2.0
// JSON that a VMM wrote. The VMM may be one that a guest has broken into.
#pragma once

#include "model/untrusted_json.h"

namespace cocoon::vmm {

using model::parse_untrusted_json;

}  // namespace cocoon::vmm
