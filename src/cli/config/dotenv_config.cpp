// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "cli/config/config_file.h"

namespace cocoon::cli {
namespace {

bool is_quoted(std::string_view value) {
  return value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
         value.back() == value.front();
}

}  // namespace

// Lines KEY=VALUE, blank lines and # comments; "export " before the key and one pair of quotes
// around the value are dropped. Nothing is expanded.
Result<FlatConfig> parse_dotenv_config(std::string_view text) {
  constexpr std::string_view kExport = "export ";
  FlatConfig out;
  int number = 0;
  for (std::string_view raw : split(text, '\n')) {
    ++number;
    std::string_view line = trim(raw);
    if (line.empty() || line[0] == '#') continue;
    if (line.substr(0, kExport.size()) == kExport) line.remove_prefix(kExport.size());
    auto equals = line.find('=');
    std::string_view key = trim(line.substr(0, equals));
    if (equals == std::string_view::npos || key.empty()) {
      return fail(ErrorKind::kInvalid, "line {}: wanted KEY=VALUE", number);
    }
    std::string_view value = trim(line.substr(equals + 1));
    if (is_quoted(value)) {
      value = value.substr(1, value.size() - 2);
    } else if (auto comment = value.find(" #"); comment != std::string_view::npos) {
      value = trim(value.substr(0, comment));
    }
    out.emplace_back(key, value);
  }
  return out;
}

}  // namespace cocoon::cli
