// SPDX-License-Identifier: Apache-2.0
// The command that shows everything about one thing as JSON, the same for each kind of thing.
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/command.h"

namespace cocoon::cli {

// What is printed of the thing that the user names so; kNotFound when there is none.
using Inspect = std::function<Result<nlohmann::json>(App&, const std::string& reference)>;

// "<group> inspect <usage>". `what` is the thing with its article: "a VM".
Command inspect_command(const std::string& group, std::string usage, std::string_view what,
                        Names names, Inspect inspect);

}  // namespace cocoon::cli
