// SPDX-License-Identifier: Apache-2.0
#include "unit/vmm/swagger.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include <yaml-cpp/yaml.h>

#include "base/text.h"

namespace cocoon::vmm::test {
namespace {

using nlohmann::json;
using Problems = std::vector<std::string>;

json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    json out = json::object();
    for (const auto& item : node) out[item.first.as<std::string>()] = to_json(item.second);
    return out;
  }
  if (node.IsSequence()) {
    json out = json::array();
    for (const auto& item : node) out.push_back(to_json(item));
    return out;
  }
  return node.IsNull() ? json(nullptr) : json(node.as<std::string>());
}

bool has_type(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  return type == "number" && value.is_number();
}

class Checker {
 public:
  Checker(const json& definitions, Problems& problems)
      : definitions_(definitions), problems_(problems) {}

  void check(const json& value, const json& schema, const std::string& at) {
    if (schema.contains("$ref")) {
      std::string name = schema["$ref"];
      return check(value, definitions_.at(name.substr(name.rfind('/') + 1)), at);
    }
    if (schema.contains("type") && !has_type(value, schema["type"])) {
      problems_.push_back(at + ": no " + schema["type"].get<std::string>());
      return;
    }
    if (schema.contains("enum")) check_enum(value, schema["enum"], at);
    if (value.is_number_integer()) check_bounds(value.get<std::int64_t>(), schema, at);
    if (value.is_object() && schema.contains("properties")) check_fields(value, schema, at);
    if (value.is_array() && schema.contains("items")) {
      for (const json& item : value) check(item, schema["items"], at + "[]");
    }
  }

 private:
  void check_enum(const json& value, const json& allowed, const std::string& at) {
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    problems_.push_back(at + ": " + value.dump() + " is not allowed");
  }

  void check_bounds(std::int64_t value, const json& schema, const std::string& at) {
    auto bound = [&](const char* key) { return std::stoll(schema[key].get<std::string>()); };
    bool low = schema.contains("minimum") && value < bound("minimum");
    bool high = schema.contains("maximum") && value > bound("maximum");
    if (low || high) problems_.push_back(at + ": out of range");
  }

  void check_fields(const json& value, const json& schema, const std::string& at) {
    const json& known = schema["properties"];
    for (const auto& [key, field] : value.items()) {
      if (!known.contains(key)) {
        problems_.push_back(at + "." + key + ": unknown");
      } else {
        check(field, known[key], at + "." + key);
      }
    }
    if (!schema.contains("required")) return;
    for (const json& key : schema["required"]) {
      if (value.contains(key.get<std::string>())) continue;
      problems_.push_back(at + "." + key.get<std::string>() + ": missing");
    }
  }

  const json& definitions_;
  Problems& problems_;
};

// "/drives/{drive_id}" fits "/drives/drive_0".
bool fits(std::string_view pattern, std::string_view path) {
  auto wanted = split(pattern, '/');
  auto parts = split(path, '/');
  return wanted.size() == parts.size() &&
         std::equal(wanted.begin(), wanted.end(), parts.begin(), [](auto want, auto part) {
           return want == part || (want.starts_with('{') && !part.empty());
         });
}

}  // namespace

std::optional<Swagger> Swagger::load(const std::string& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  Swagger swagger;
  swagger.document_ = to_json(YAML::LoadFile(path));
  return swagger;
}

std::vector<std::string> Swagger::check(const ApiCall& call) const {
  std::string method = call.method;
  std::transform(method.begin(), method.end(), method.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const auto& [pattern, methods] : document_.at("paths").items()) {
    if (!fits(pattern, call.path)) continue;
    if (!methods.contains(method)) return {call.path + ": no method " + call.method};
    Problems problems;
    Checker checker(document_.at("definitions"), problems);
    for (const json& parameter : methods[method].value("parameters", json::array())) {
      if (parameter.value("in", "") != "body") continue;
      checker.check(json::parse(call.body.dump()), parameter["schema"], call.path);
    }
    return problems;
  }
  return {call.path + ": no such path"};
}

std::vector<std::string> Swagger::check_as(const json& value, const std::string& definition) const {
  Problems problems;
  const json& definitions = document_.at("definitions");
  Checker(definitions, problems).check(value, definitions.at(definition), definition);
  return problems;
}

}  // namespace cocoon::vmm::test
