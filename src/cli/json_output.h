// SPDX-License-Identifier: Apache-2.0
// JSON as we print it (spec 01 §7), and the -o flag that asks for it.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "engine/batch.h"

namespace cocoon::cli {

// 2-space indent, trailing newline, <, > and & as \u003c, \u003e, \u0026; text that is not UTF-8 is
// replaced, never an error.
std::string render_json(const nlohmann::json& value);

// {"succeeded":[…],"failed":[{"id","error","kind"}]}, both always lists.
nlohmann::json batch_json(const engine::BatchResult& result);

// -o/--output of a command that prints text for people: json or text.
Flag output_flag(std::string* target);
// -o/--format of a command that prints a table: json or table; --output is understood as well.
Flag format_flag(std::string* target);
// -o/--output of a command that prints JSON anyway: json only.
Flag json_only_flag(std::string* target);

inline bool wants_json(std::string_view format) { return format == "json"; }

}  // namespace cocoon::cli
