// SPDX-License-Identifier: Apache-2.0
#include "cli/config/settings.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>

#include "cli/config/config_file.h"
#include "cli/config/keys.h"
#include "cli/config/log_files.h"
#include "sys/files.h"

namespace cocoon::cli {
namespace {

namespace fs = std::filesystem;

// A value as it was found, and where.
struct Found {
  std::string text;
  std::string source;
};
using FoundValues = std::map<const Key*, Found>;

// The file to read: --config, else the first of the default ones that is there.
std::optional<fs::path> choose_file(const GlobalFlags& flags, const fs::path& default_dir,
                                    std::vector<std::string>& warnings) {
  if (flags.config) return fs::path(*flags.config);
  std::optional<fs::path> chosen;
  for (std::string_view name : {"config.yaml", "config.toml", "config.json"}) {
    fs::path path = default_dir / name;
    if (!sys::exists(path)) continue;
    if (chosen) {
      warnings.push_back(fmt::format("ignoring {}: {} was read", path.native(), chosen->native()));
    } else if (access(path.c_str(), R_OK) != 0 && errno == EACCES) {
      // `cocoon version` of an ordinary user must not fail because the file is root's.
      warnings.push_back(fmt::format("ignoring {}: permission denied", path.native()));
    } else {
      chosen = path;
    }
  }
  return chosen;
}

Result<void> add_file(const fs::path& path, FoundValues& found,
                      std::vector<std::string>& warnings) {
  for (auto& [name, text] : COCOON_TRY(read_config_file(path), "config")) {
    if (const Key* key = find_key(name)) {
      found[key] = {std::move(text), fmt::format("{}: {}", path.native(), name)};
    } else {
      warnings.push_back(
          fmt::format("config file {}: ignoring the unknown key \"{}\"", path.native(), name));
    }
  }
  return {};
}

void add_environment(const Environment& environment, FoundValues& found) {
  for (const Key& key : all_keys()) {
    for (const std::string& name : environment_names(key)) {
      auto value = environment(name);
      if (!value || value->empty()) continue;  // empty counts as unset
      found[&key] = {*value, name};
      break;
    }
  }
}

void add_flags(const GlobalFlags& flags, FoundValues& found, std::vector<std::string>& given) {
  GlobalFlags copy = flags;
  for (const Flag& flag : global_flag_table(copy)) {
    const auto* target = std::get_if<std::optional<std::string>*>(&flag.target);
    if (target == nullptr || !**target) continue;
    given.push_back(fmt::format("{}={}", flag.display(), ***target));
    // --root-dir is root_dir, --log-level log.level; --config is no key.
    std::string name = flag.name;
    for (char& c : name) c = c == '-' ? '_' : c;
    if (const Key* key = find_key(name)) found[key] = {***target, flag.display()};
  }
}

}  // namespace

std::vector<Flag> global_flag_table(GlobalFlags& flags) {
  auto dir = [](const char* name, std::optional<std::string>* target, const char* help) {
    return Flag{.name = name,
                .target = target,
                .help = help,
                .value_name = "DIR",
                .completes = Names::kDirectory};
  };
  return {
      dir("root-dir", &flags.root_dir, "persistent data (default /var/lib/cocoon)"),
      dir("run-dir", &flags.run_dir, "sockets and VM disks (default <root-dir>/run)"),
      dir("log-dir", &flags.log_dir, "logs of consoles and hypervisors (default /var/log/cocoon)"),
      dir("cni-conf-dir", &flags.cni_conf_dir, "CNI network lists (default /etc/cni/net.d)"),
      dir("cni-bin-dir", &flags.cni_bin_dir, "CNI plugins (default /opt/cni/bin)"),
      {.name = "dns",
       .target = &flags.dns,
       .help = "DNS servers of guests, comma separated (default 8.8.8.8,1.1.1.1)",
       .value_name = "ADDRESSES"},
      {.name = "log-level",
       .target = &flags.log_level,
       .help = "trace, debug, info, warn, error or disabled (default info)",
       .value_name = "LEVEL"},
      {.name = "config",
       .target = &flags.config,
       .help = "configuration file (default /etc/cocoon/config.yaml, .toml or .json)",
       .value_name = "FILE",
       .completes = Names::kFile},
      {.name = "help", .short_name = 'h', .target = &flags.help, .help = "show help"},
  };
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

Result<Settings> load_settings(const GlobalFlags& flags, const Environment& environment,
                               const fs::path& default_dir) {
  Settings settings;
  FoundValues found;
  if (auto file = choose_file(flags, default_dir, settings.warnings)) {
    COCOON_TRY(add_file(*file, found, settings.warnings));
  }
  add_environment(environment, found);
  add_flags(flags, found, settings.given_flags);
  // Only the value that counts is checked: a flag helps against a mistake in the file.
  for (const auto& [key, value] : found) {
    COCOON_TRY(key->set(settings, value.text), "config: {}", value.source);
  }
  // Two stores that share a run directory would take each other's VMs for garbage.
  if (!found.contains(find_key("run_dir")))
    settings.config.run_dir = settings.config.root_dir / "run";
  return settings;
}

void apply_log_settings(const Settings& settings) {
  configure_log(settings.log);
  if (!settings.log.filename.empty()) {
    remove_old_logs(settings.log.filename, settings.log.max_backups, settings.log_max_age_days);
  }
  for (const std::string& warning : settings.warnings) log_warn("{}", warning);
}

}  // namespace cocoon::cli
