// SPDX-License-Identifier: Apache-2.0
// Where the settings come from (spec 01 §2): explicit flag > environment > configuration file >
// built-in default.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "model/config.h"

namespace cocoon::cli {

// The flags that every command takes; unset: not on the command line.
struct GlobalFlags {
  std::optional<std::string> root_dir, run_dir, log_dir, cni_conf_dir, cni_bin_dir, dns, log_level;
  std::optional<std::string> config;
  bool help = false;
};

// The table entries of these flags; they borrow the struct.
std::vector<Flag> global_flag_table(GlobalFlags& flags);

struct Settings {
  model::Config config;
  LogOptions log;
  int log_max_age_days = 28;             // rotated log files older than this are removed
  std::vector<std::string> warnings;     // unknown keys: to be logged once the log is set up
  std::vector<std::string> given_flags;  // "--root-dir=DIR", as they were on the command line
};

// Looks a variable up in the environment.
using Environment = std::function<std::optional<std::string>(const std::string&)>;
Environment process_environment();

// The directory whose config.yaml, config.toml or config.json is read without --config.
inline constexpr std::string_view kConfigDir = "/etc/cocoon";

// Collects and checks everything. Errors start with "config" and name the source, key and value:
// kInvalid for a bad value, kNotFound, kSystem, kInvalid for the file.
Result<Settings> load_settings(const GlobalFlags& flags, const Environment& environment,
                               const std::filesystem::path& default_dir);

// Sets the process's log up and logs the warnings.
void apply_log_settings(const Settings& settings);

}  // namespace cocoon::cli
