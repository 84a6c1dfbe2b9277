// SPDX-License-Identifier: Apache-2.0
#include <yaml-cpp/yaml.h>

#include "cli/config/config_file.h"

namespace cocoon::cli {
namespace {

// Aliases (&a, *a) can nest a small file without end; no configuration of ours is deeper.
constexpr int kDeepest = 8;
constexpr std::size_t kMostKeys = 1000;

Result<void> flatten(const YAML::Node& node, const std::string& key, int depth, FlatConfig& out) {
  if (depth > kDeepest || out.size() > kMostKeys) {
    return fail(ErrorKind::kInvalid, "key \"{}\": too deep or too many keys", key);
  }
  if (node.IsNull()) return {};
  if (node.IsScalar()) {
    out.emplace_back(key, node.Scalar());
    return {};
  }
  if (node.IsMap()) {
    for (const auto& member : node) {
      std::string name = member.first.Scalar();
      COCOON_TRY(flatten(member.second, key.empty() ? name : key + "." + name, depth + 1, out));
    }
    return {};
  }
  std::string joined;
  for (const YAML::Node& element : node) {
    if (!element.IsScalar()) {
      return fail(ErrorKind::kInvalid, "key \"{}\": a list of plain values is wanted", key);
    }
    joined += (joined.empty() ? "" : ",") + element.Scalar();
  }
  out.emplace_back(key, joined);
  return {};
}

}  // namespace

Result<FlatConfig> parse_yaml_config(const std::string& text) {
  FlatConfig out;
  try {
    YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return out;
    if (!root.IsMap()) return fail(ErrorKind::kInvalid, "not a YAML map");
    COCOON_TRY(flatten(root, "", 0, out));
  } catch (const YAML::Exception& error) {
    return fail(ErrorKind::kInvalid, "line {}: {}", error.mark.line + 1, error.msg);
  }
  return out;
}

}  // namespace cocoon::cli
