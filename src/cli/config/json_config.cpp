// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/config/config_file.h"

namespace cocoon::cli {
namespace {

using nlohmann::json;

std::string scalar_text(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Result<void> flatten(const json& value, const std::string& key, FlatConfig& out) {
  if (value.is_null()) return {};
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      COCOON_TRY(flatten(member, key.empty() ? name : key + "." + name, out));
    }
    return {};
  }
  if (!value.is_array()) {
    out.emplace_back(key, scalar_text(value));
    return {};
  }
  std::string joined;
  for (const json& element : value) {
    if (element.is_structured()) {
      return fail(ErrorKind::kInvalid, "key \"{}\": a list of plain values is wanted", key);
    }
    joined += (joined.empty() ? "" : ",") + scalar_text(element);
  }
  out.emplace_back(key, joined);
  return {};
}

}  // namespace

Result<FlatConfig> parse_json_config(std::string_view text) {
  // Exceptions of the library carry the place of the mistake; they end here.
  json value;
  try {
    value = json::parse(text);
  } catch (const json::exception& error) {
    return fail(ErrorKind::kInvalid, "{}", error.what());
  }
  if (!value.is_object()) return fail(ErrorKind::kInvalid, "not a JSON object");
  FlatConfig out;
  COCOON_TRY(flatten(value, "", out));
  return out;
}

}  // namespace cocoon::cli
