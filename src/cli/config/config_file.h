// SPDX-License-Identifier: Apache-2.0
// Configuration files in the formats of spec 01 §2.1, read as flat lists of texts.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace cocoon::cli {

// Keys with their values as text, nested keys joined by '.': {"log.level", "debug"}. A list of
// scalars becomes one text with commas (dns).
using FlatConfig = std::vector<std::pair<std::string, std::string>>;

// Reads a file; its extension says the format: json, toml, yaml, yml, env, dotenv. kInvalid for
// another extension or bad content, kNotFound when it is absent, kSystem when it cannot be read.
Result<FlatConfig> read_config_file(const std::filesystem::path& path);

// The parsers, pure. kInvalid with the place of the mistake.
Result<FlatConfig> parse_json_config(std::string_view text);
Result<FlatConfig> parse_toml_config(std::string_view text);
Result<FlatConfig> parse_yaml_config(const std::string& text);
Result<FlatConfig> parse_dotenv_config(std::string_view text);

}  // namespace cocoon::cli
