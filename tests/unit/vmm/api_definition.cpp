// SPDX-License-Identifier: Apache-2.0
#include "unit/vmm/api_definition.h"

#include <cstdlib>
#include <filesystem>

#include <yaml-cpp/yaml.h>

#include "base/text.h"

namespace cocoon::vmm::test {
namespace {

using Json = nlohmann::ordered_json;
using Complaints = std::vector<std::string>;

YAML::Node get(const YAML::Node& node, const std::string& key) {
  return node && node.IsMap() ? node[key] : YAML::Node(YAML::NodeType::Undefined);
}

std::string text(const YAML::Node& node, const std::string& key) {
  YAML::Node value = get(node, key);
  return value && value.IsScalar() ? value.Scalar() : std::string();
}

// "/drives/{drive_id}" fits "/drives/drive_0".
bool fits(std::string_view pattern, std::string_view path) {
  auto wanted = split(pattern, '/'), found = split(path, '/');
  if (wanted.size() != found.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i].starts_with('{') && wanted[i] != found[i]) return false;
  }
  return true;
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "array") return value.is_array();
  return type.empty() || type != "object" || value.is_object();
}

class Judge {
 public:
  explicit Judge(const YAML::Node& root) : root_(root) {}

  void judge(const Json& value, YAML::Node schema, const std::string& where) {
    schema = resolve(schema);
    std::string type = text(schema, "type");
    if (type.empty() && get(schema, "properties")) type = "object";
    if (!has_type(value, type)) return complain(where + " is no " + type);
    if (value.is_number_integer()) judge_bounds(value.get<std::int64_t>(), schema, where);
    if (value.is_string()) judge_enum(value.get<std::string>(), get(schema, "enum"), where);
    if (value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        judge(value[i], get(schema, "items"), where + "[" + std::to_string(i) + "]");
      }
    }
    if (value.is_object()) judge_object(value, schema, where);
  }
  void complain(std::string text) { complaints_.push_back(std::move(text)); }
  Complaints take() { return std::move(complaints_); }

 private:
  YAML::Node resolve(YAML::Node schema) const {
    for (int depth = 0; depth < 8; ++depth) {
      std::string reference = text(schema, "$ref");
      if (!reference.starts_with("#/")) return schema;
      YAML::Node at = root_;
      for (std::string_view part : split(std::string_view(reference).substr(2), '/')) {
        at.reset(get(at, std::string(part)));
      }
      schema.reset(at);
    }
    return schema;
  }

  void judge_enum(const std::string& value, const YAML::Node& choices, const std::string& where) {
    if (!choices || !choices.IsSequence()) return;
    for (const YAML::Node& choice : choices) {
      if (choice.Scalar() == value) return;
    }
    complain(where + ": \"" + value + "\" is no choice");
  }

  void judge_bounds(std::int64_t value, const YAML::Node& schema, const std::string& where) {
    YAML::Node least = get(schema, "minimum"), most = get(schema, "maximum");
    bool low = least && value < least.as<std::int64_t>();
    bool high = most && value > most.as<std::int64_t>();
    if (low || high) complain(where + ": " + std::to_string(value) + " is out of range");
  }

  void judge_object(const Json& value, const YAML::Node& schema, const std::string& where) {
    YAML::Node properties = get(schema, "properties");
    for (const auto& [name, member] : value.items()) {
      YAML::Node property = get(properties, name);
      if (!property) {
        complain(where + " has the unknown member " + name);
      } else {
        judge(member, property, where + "." + name);
      }
    }
    YAML::Node required = get(schema, "required");
    if (!required || !required.IsSequence()) return;
    for (const YAML::Node& name : required) {
      if (!value.contains(name.Scalar())) complain(where + " lacks " + name.Scalar());
    }
  }

  YAML::Node root_;
  Complaints complaints_;
};

// OpenAPI 3 has a request body, Swagger 2 a parameter "in: body".
YAML::Node body_schema(const YAML::Node& operation) {
  YAML::Node content = get(get(operation, "requestBody"), "content");
  if (content) return get(get(content, "application/json"), "schema");
  YAML::Node parameters = get(operation, "parameters");
  if (parameters && parameters.IsSequence()) {
    for (const YAML::Node& parameter : parameters) {
      if (text(parameter, "in") == "body") return get(parameter, "schema");
    }
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

}  // namespace

struct ApiDefinition::Yaml {
  YAML::Node root;
};

std::string ApiDefinition::place(const std::string& file) {
  const char* named = std::getenv("COCOON_SHARED_DIR");
  std::filesystem::path shared = named != nullptr ? named : COCOON_SHARED_DIR;
  return (shared / "api" / file).lexically_normal();
}

std::optional<ApiDefinition> ApiDefinition::load(const std::string& file, std::string prefix) {
  if (!std::filesystem::exists(place(file))) return std::nullopt;
  auto yaml = std::make_shared<Yaml>();
  yaml->root = YAML::LoadFile(place(file));
  return ApiDefinition(std::move(yaml), std::move(prefix));
}

std::vector<std::string> ApiDefinition::complaints(const ApiCall& call) const {
  Judge judge(yaml_->root);
  std::string name = call.method + " " + call.path;
  if (!call.path.starts_with(prefix_)) return {name + " lacks the prefix " + prefix_};
  std::string path = call.path.substr(prefix_.size());
  YAML::Node paths = get(yaml_->root, "paths");
  for (const auto& entry : paths) {
    if (!fits(entry.first.Scalar(), path)) continue;
    YAML::Node operation = get(entry.second, to_lower(call.method));
    if (!operation) continue;
    YAML::Node schema = body_schema(operation);
    if (static_cast<bool>(schema) == call.body.is_null()) {
      return {name + (schema ? " lacks a body" : " takes no body")};
    }
    if (schema) judge.judge(call.body, schema, path);
    return judge.take();
  }
  return {name + " is not defined"};
}

}  // namespace cocoon::vmm::test
