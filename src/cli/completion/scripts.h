// SPDX-License-Identifier: Apache-2.0
// The completion scripts for shells. They hold no knowledge of the commands: they ask
// `cocoon __complete` (complete.h) at every press of the key.
#pragma once

#include <optional>
#include <string_view>

namespace cocoon::cli {

// The script for bash, zsh or fish; nullopt for another shell.
std::optional<std::string_view> completion_script(std::string_view shell);

}  // namespace cocoon::cli
