// SPDX-License-Identifier: Apache-2.0
#include <sstream>

#include <toml++/toml.h>

#include "cli/config/config_file.h"

namespace cocoon::cli {
namespace {

Result<std::string> scalar_text(const toml::node& node, const std::string& key) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* yes = node.as_boolean()) return std::string(yes->get() ? "true" : "false");
  return fail(ErrorKind::kInvalid, "key \"{}\": a text, number, boolean or list of them is wanted",
              key);
}

// As one text, with commas between its elements.
Result<std::string> list_text(const toml::array& list, const std::string& key) {
  std::string joined;
  for (const toml::node& element : list) {
    std::string text = COCOON_TRY(scalar_text(element, key));
    joined += (joined.empty() ? "" : ",") + text;
  }
  return joined;
}

Result<void> flatten(const toml::table& table, const std::string& prefix, FlatConfig& out) {
  for (const auto& [name, node] : table) {
    std::string key = prefix + std::string(name.str());
    if (const toml::table* inner = node.as_table()) {
      COCOON_TRY(flatten(*inner, key + ".", out));
    } else if (const toml::array* list = node.as_array()) {
      out.emplace_back(key, COCOON_TRY(list_text(*list, key)));
    } else {
      out.emplace_back(key, COCOON_TRY(scalar_text(node, key)));
    }
  }
  return {};
}

}  // namespace

Result<FlatConfig> parse_toml_config(std::string_view text) {
  FlatConfig out;
  try {
    toml::table table = toml::parse(text);
    COCOON_TRY(flatten(table, "", out));
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::kInvalid, "line {}: {}", error.source().begin.line, error.description());
  }
  return out;
}

}  // namespace cocoon::cli
