// SPDX-License-Identifier: Apache-2.0
// JSON that a VMM wrote. The VMM may be one that a guest has broken into.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cocoon::vmm {

// kCorrupt: no JSON, or nested deeper than 32, which is found before anything is allocated for it.
Result<nlohmann::json> parse_untrusted_json(std::string_view text);

}  // namespace cocoon::vmm
