// SPDX-License-Identifier: Apache-2.0
#include "model/untrusted_json.h"

namespace cocoon::model {
namespace {

constexpr int kMaxDepth = 32;

// Counts brackets outside of strings.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > kMaxDepth) return true;
  }
  return false;
}

}  // namespace

Result<nlohmann::json> parse_untrusted_json(std::string_view text) {
  if (too_deep(text)) return fail(ErrorKind::kCorrupt, "JSON nested too deeply");
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) return fail(ErrorKind::kCorrupt, "no JSON");
  return json;
}

}  // namespace cocoon::model
