// SPDX-License-Identifier: Apache-2.0
// What `gc` prints. Pure.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "engine/gc.h"

namespace cocoon::cli {

// {"dry_run","removed":[{"kind","name","bytes"}],"skipped":["<name>: <why>"],"bytes"}
nlohmann::json gc_json(const engine::GcReport& report, bool dry_run);

// One line a thing and a summary.
std::string gc_text(const engine::GcReport& report, bool dry_run);

}  // namespace cocoon::cli
