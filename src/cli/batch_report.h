// SPDX-License-Identifier: Apache-2.0
// The report of a verb over many things.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/app.h"
#include "engine/batch.h"

namespace cocoon::cli {

// Prints what succeeded on stdout, one a line (or the JSON of both lists), and one "Error: …" line
// per failure; returns the exit code.
int report_batch(App& app, const engine::BatchResult& result, const std::string& format);

// The report of a verb that did nothing because of `error`: every reference that `look_up` cannot
// find failed by itself; when all can be found, each failed with `error`.
engine::BatchResult nothing_done(const std::vector<std::string>& references, const Error& error,
                                 const std::function<Result<void>(const std::string&)>& look_up);

}  // namespace cocoon::cli
