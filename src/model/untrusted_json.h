// SPDX-License-Identifier: Apache-2.0
// JSON that others wrote: a VMM (perhaps one that a guest has broken into), a CNI plugin.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cocoon::model {

// kCorrupt: no JSON, or nested deeper than 32, which is found before anything is allocated for it.
// Its size is bounded by whoever reads it.
Result<nlohmann::json> parse_untrusted_json(std::string_view text);

}  // namespace cocoon::model
