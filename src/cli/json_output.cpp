// SPDX-License-Identifier: Apache-2.0
#include "cli/json_output.h"

namespace cocoon::cli {

std::string render_json(const nlohmann::json& value) {
  std::string plain = value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  // These three occur in strings only, so the text can be rewritten as a whole.
  std::string out;
  out.reserve(plain.size() + 1);
  for (char c : plain) {
    switch (c) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        out += c;
    }
  }
  out += '\n';
  return out;
}

nlohmann::json batch_json(const engine::BatchResult& result) {
  nlohmann::json failed = nlohmann::json::array();
  for (const auto& one : result.failed) {
    failed.push_back(
        {{"id", one.id}, {"error", one.error.to_string()}, {"kind", kind_name(one.error.kind)}});
  }
  return {{"succeeded", result.succeeded}, {"failed", failed}};
}

Flag output_flag(std::string* target) {
  return {.name = "output",
          .short_name = 'o',
          .target = target,
          .help = "print json, or text for people",
          .value_name = "FORMAT",
          .choices = {"json", "text"}};
}

Flag format_flag(std::string* target) {
  return {.name = "format",
          .short_name = 'o',
          .target = target,
          .help = "print a table or json",
          .value_name = "FORMAT",
          .choices = {"json", "table"},
          .aliases = {"output"}};
}

Flag json_only_flag(std::string* target) {
  return {.name = "output",
          .short_name = 'o',
          .target = target,
          .help = "print json, which is what this command prints anyway",
          .value_name = "FORMAT",
          .choices = {"json"},
          .aliases = {"format"}};
}

}  // namespace cocoon::cli
