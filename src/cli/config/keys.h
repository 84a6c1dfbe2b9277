// SPDX-License-Identifier: Apache-2.0
// The keys of the configuration: one table for file, environment and flags.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/config/settings.h"

namespace cocoon::cli {

struct Key {
  std::string_view name;  // "log.max_size"
  // A second spelling that is understood: the original's "log.maxsize".
  std::string_view other;
  Result<void> (*set)(Settings&, const std::string& value);
};

std::span<const Key> all_keys();

// The key of this name, in either spelling, any case, '.' and '_' alike; null when there is none.
const Key* find_key(std::string_view name);

// The environment variables of a key: COCOON_LOG_MAX_SIZE, COCOON_LOG_MAXSIZE.
std::vector<std::string> environment_names(const Key& key);

// "8.8.8.8;1.1.1.1, ::1": separated by ',' or ';', blanks and empty parts dropped. kInvalid for a
// part that is no IP address.
Result<std::vector<std::string>> parse_dns(std::string_view text);

// trace … disabled, or the original's numbers. kInvalid else.
Result<LogLevel> parse_log_level(std::string_view text);

}  // namespace cocoon::cli
