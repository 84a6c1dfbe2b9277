// SPDX-License-Identifier: Apache-2.0
// One remembered fact about this host: a small file below the run directory that holds the
// circumstances it was found under and the answer. Other circumstances make it void.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace cocoon::vmm {

// The answer remembered for exactly these circumstances. Both are single lines.
std::optional<std::string> read_fact(const std::filesystem::path& path, std::string_view key);

// Remembers an answer. A cache only: a file that cannot be written is no error.
void write_fact(const std::filesystem::path& path, std::string_view key, std::string_view answer);

}  // namespace cocoon::vmm
