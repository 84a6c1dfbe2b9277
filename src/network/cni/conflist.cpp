// SPDX-License-Identifier: Apache-2.0
#include "network/cni/conflist.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "sys/files.h"

namespace cocoon::network::cni {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFile = std::size_t{1} << 20;
constexpr std::size_t kMaxPlugins = 64;
constexpr std::string_view kOldest = "0.1.0";
constexpr std::string_view kNewest = "1.1.0";

std::array<std::uint64_t, 3> version_numbers(std::string_view text) {
  std::array<std::uint64_t, 3> numbers{};
  auto parts = split(text, '.');
  for (std::size_t i = 0; i < parts.size() && i < numbers.size(); ++i) {
    numbers[i] = parse_decimal(parts[i]).value_or(0);
  }
  return numbers;
}

// Some generators write booleans as text.
Result<bool> read_bool(const json& object, const char* key) {
  auto value = object.find(key);
  if (value == object.end()) return false;
  if (value->is_boolean()) return value->get<bool>();
  if (*value == "true") return true;
  if (*value == "false") return false;
  return fail(ErrorKind::kInvalid, "{}: wanted true or false", key);
}

Result<std::string> read_text(const json& object, const char* key) {
  auto value = object.find(key);
  if (value == object.end()) return std::string();
  if (!value->is_string()) return fail(ErrorKind::kInvalid, "{}: wanted a text", key);
  return value->get<std::string>();
}

// The version to speak: the newest of cniVersion and cniVersions that we know.
Result<std::string> read_version(const json& object) {
  std::string version = COCOON_TRY(read_text(object, "cniVersion"));
  if (auto all = object.find("cniVersions"); all != object.end()) {
    if (!all->is_array()) return fail(ErrorKind::kInvalid, "cniVersions: wanted a list");
    for (const json& one : *all) {
      if (!one.is_string()) return fail(ErrorKind::kInvalid, "cniVersions: wanted texts");
      const auto& text = one.get_ref<const std::string&>();
      if (compare_versions(text, kNewest) <= 0 && compare_versions(text, version) > 0)
        version = text;
    }
  }
  if (version.empty()) return std::string(kOldest);
  if (compare_versions(version, kNewest) > 0) {
    return fail(ErrorKind::kInvalid, "cniVersion {} is newer than {}", escape_controls(version),
                kNewest);
  }
  return version;
}

Result<void> check_plugin(const json& plugin) {
  if (!plugin.is_object()) return fail(ErrorKind::kInvalid, "a plugin is no object");
  auto type = plugin.find("type");
  bool named = type != plugin.end() && type->is_string();
  const std::string name = named ? type->get<std::string>() : "";
  if (!name.empty() && name.find('/') == std::string::npos && name != "." && name != "..")
    return {};
  return fail(ErrorKind::kInvalid, "a plugin without a usable type");
}

Result<std::vector<json>> read_plugins(const json& object) {
  auto list = object.find("plugins");
  if (list == object.end()) {
    COCOON_TRY(check_plugin(object));  // the document is the plugin
    return std::vector<json>{object};
  }
  if (!list->is_array() || list->empty() || list->size() > kMaxPlugins) {
    return fail(ErrorKind::kInvalid, "plugins: wanted a list of 1 to {}", kMaxPlugins);
  }
  for (const json& plugin : *list) COCOON_TRY(check_plugin(plugin));
  return list->get<std::vector<json>>();
}

// Plugins that lie in a directory of the list's name, beside it.
Result<void> add_separate_plugins(const std::filesystem::path& directory, Conflist& list) {
  for (const std::string& name : COCOON_TRY(sys::list_dir(directory / list.name))) {
    if (!name.ends_with(".conf")) continue;
    auto path = directory / list.name / name;
    auto text = COCOON_TRY(sys::read_file(path, kMaxFile));
    json plugin = json::parse(text, nullptr, false);
    COCOON_TRY(check_plugin(plugin), "{}", path.native());
    list.plugins.push_back(std::move(plugin));
  }
  return {};
}

Result<Conflist> read_conflist(const std::filesystem::path& directory, const std::string& name) {
  auto path = directory / name;
  std::string text = COCOON_TRY(sys::read_file(path, kMaxFile));
  Conflist list = COCOON_TRY(parse_conflist(text));
  list.file = path.native();
  json document = json::parse(list.bytes, nullptr, false);
  if (document.contains("plugins") && !COCOON_TRY(read_bool(document, "loadOnlyInlinedPlugins"))) {
    std::size_t inlined = list.plugins.size();
    COCOON_TRY(add_separate_plugins(directory, list));
    if (list.plugins.size() > inlined) {
      document["plugins"] = list.plugins;  // what is kept for DEL must be complete
      list.bytes = document.dump();
    }
  }
  return list;
}

std::string known_names(const Networks& networks) {
  std::vector<std::string> names;
  for (const Conflist& list : networks.lists) names.push_back(list.name);
  std::sort(names.begin(), names.end());
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

bool Conflist::has_capability(std::string_view capability) const {
  return std::any_of(plugins.begin(), plugins.end(), [&](const json& plugin) {
    auto all = plugin.find("capabilities");
    return all != plugin.end() && all->is_object() && all->contains(capability) &&
           all->at(std::string(capability)) == true;
  });
}

Result<Conflist> parse_conflist(std::string_view text) {
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return fail(ErrorKind::kInvalid, "not a JSON object");
  Conflist list;
  list.name = COCOON_TRY(read_text(document, "name"));
  if (!is_cni_name(list.name)) {
    return fail(ErrorKind::kInvalid, "name \"{}\" is no network name", escape_controls(list.name));
  }
  list.version = COCOON_TRY(read_version(document));
  list.disable_check = COCOON_TRY(read_bool(document, "disableCheck"));
  list.plugins = COCOON_TRY(read_plugins(document));
  list.bytes = text;
  return list;
}

Result<Networks> find_networks(const std::filesystem::path& directory) {
  Networks networks;
  for (const std::string& name : COCOON_TRY(sys::list_dir(directory))) {
    if (!name.ends_with(".conflist") && !name.ends_with(".conf")) continue;
    auto list = read_conflist(directory, name);
    if (list) {
      networks.lists.push_back(std::move(*list));
    } else {
      networks.problems.push_back(fmt::format("{}: {}", name, list.error().to_string()));
    }
  }
  return networks;
}

Result<Conflist> choose_network(const Networks& networks, std::string_view name,
                                const std::filesystem::path& directory) {
  std::string problems;
  if (!networks.problems.empty()) {
    problems = fmt::format(" (unusable: {})", fmt::join(networks.problems, "; "));
  }
  if (networks.lists.empty()) {
    return fail(ErrorKind::kNotFound,
                "network provider not configured: no conflist found in {}{}; `cocoon doctor --fix` "
                "writes one",
                directory.native(), problems);
  }
  if (name.empty()) name = networks.lists.front().name;
  const Conflist* found = nullptr;
  for (const Conflist& list : networks.lists) {
    if (list.name != name) continue;
    if (found != nullptr) {
      return fail(ErrorKind::kConflict, "network \"{}\" is in two files: {} and {}", name,
                  found->file, list.file);
    }
    found = &list;
  }
  if (found != nullptr) return *found;
  return fail(ErrorKind::kNotFound, "network \"{}\" not found; there are: {}{}",
              escape_controls(name), known_names(networks), problems);
}

bool is_cni_name(std::string_view text) {
  auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= 128 && letter_or_digit(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return letter_or_digit(c) || c == '_' || c == '.' || c == '-';
         });
}

bool is_if_name(std::string_view text) { return text.size() <= 15 && is_cni_name(text); }

int compare_versions(std::string_view a, std::string_view b) {
  auto left = version_numbers(a);
  auto right = version_numbers(b);
  if (left == right) return 0;
  return left < right ? -1 : 1;
}

std::string default_conflist() {
  return R"({
  "cniVersion": "1.0.0",
  "name": "cocoon",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "10.88.0.0/16"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
)";
}

}  // namespace cocoon::network::cni
