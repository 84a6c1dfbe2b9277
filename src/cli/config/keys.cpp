// SPDX-License-Identifier: Apache-2.0
#include "cli/config/keys.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/text.h"
#include "base/units.h"
#include "cli/parse/arguments.h"

namespace cocoon::cli {
namespace {

using model::Config;

template <auto Member>
Result<void> set_text(Settings& settings, const std::string& value) {
  settings.config.*Member = value;
  return {};
}

// Relative paths are taken from the working directory of this command, and only here: shim and VMM
// work elsewhere.
template <auto Member>
Result<void> set_dir(Settings& settings, const std::string& value) {
  if (value.empty()) return fail(ErrorKind::kInvalid, "must not be empty");
  std::error_code error;
  auto path = std::filesystem::absolute(value, error);
  if (error) return fail(ErrorKind::kSystem, "\"{}\": {}", value, error.message());
  path = path.lexically_normal();
  // "/x/" and "/x" are one directory.
  settings.config.*Member = path.has_filename() ? path : path.parent_path();
  return {};
}

template <class T>
Result<T> integer(const std::string& value) {
  auto number = parse_integer(trim(value));
  if (!number) return fail(ErrorKind::kInvalid, "invalid number \"{}\"", value);
  bool fits = std::in_range<T>(*number);
  if (!fits) return fail(ErrorKind::kInvalid, "number {} is out of range", value);
  return static_cast<T>(*number);
}

template <auto Member>
Result<void> set_number(Settings& settings, const std::string& value) {
  using Field = std::remove_reference_t<decltype(settings.config.*Member)>;
  settings.config.*Member = COCOON_TRY(integer<Field>(value));
  return {};
}

// Zero and less mean the default (spec 01 §2.1).
template <auto Member>
Result<void> set_number_or_default(Settings& settings, const std::string& value) {
  int number = COCOON_TRY(integer<int>(value));
  settings.config.*Member = number > 0 ? number : Config().*Member;
  return {};
}

template <auto Member>
Result<void> set_positive(Settings& settings, const std::string& value) {
  using Field = std::remove_reference_t<decltype(settings.config.*Member)>;
  Field number = COCOON_TRY(integer<Field>(value));
  if (number <= 0) return fail(ErrorKind::kInvalid, "{} must be greater than 0", value);
  settings.config.*Member = number;
  return {};
}

template <auto Member>
Result<void> set_size(Settings& settings, const std::string& value) {
  std::int64_t bytes = COCOON_TRY(parse_size(trim(value)));
  if (bytes <= 0) return fail(ErrorKind::kInvalid, "size \"{}\" must be greater than 0", value);
  settings.config.*Member = bytes;
  return {};
}

Result<bool> boolean(const std::string& value) {
  auto parsed = parse_bool(trim(value));
  if (!parsed)
    return fail(ErrorKind::kInvalid, "invalid value \"{}\": wanted true or false", value);
  return *parsed;
}

Result<void> set_use_firecracker(Settings& settings, const std::string& value) {
  settings.config.use_firecracker = COCOON_TRY(boolean(value));
  return {};
}

Result<void> set_hypervisor(Settings& settings, const std::string& value) {
  constexpr std::array<std::string_view, 4> kKnown = {"auto", "cloud-hypervisor", "firecracker",
                                                      "qemu"};
  if (!value.empty() && std::find(kKnown.begin(), kKnown.end(), value) == kKnown.end()) {
    return fail(ErrorKind::kInvalid, "invalid value \"{}\": wanted one of {}", value,
                fmt::join(kKnown, ", "));
  }
  settings.config.hypervisor = value == "auto" ? "" : value;
  return {};
}

Result<void> set_dns(Settings& settings, const std::string& value) {
  settings.config.dns = COCOON_TRY(parse_dns(value));
  return {};
}

Result<void> set_log_level(Settings& settings, const std::string& value) {
  settings.log.level = COCOON_TRY(parse_log_level(value));
  return {};
}

Result<void> set_log_filename(Settings& settings, const std::string& value) {
  settings.log.filename = value;
  return {};
}

Result<void> set_log_json(Settings& settings, const std::string& value) {
  settings.log.json = COCOON_TRY(boolean(value));
  return {};
}

// Zero means the default for the limits of the log file.
template <class Struct, int Struct::*Member>
Result<void> set_log_number(Struct& log, const std::string& value) {
  int number = COCOON_TRY(integer<int>(value));
  if (number < 0) return fail(ErrorKind::kInvalid, "{} must not be negative", value);
  if (number > 0) log.*Member = number;
  return {};
}

Result<void> set_log_size(Settings& settings, const std::string& value) {
  return set_log_number<LogOptions, &LogOptions::max_size_mb>(settings.log, value);
}
Result<void> set_log_backups(Settings& settings, const std::string& value) {
  return set_log_number<LogOptions, &LogOptions::max_backups>(settings.log, value);
}
Result<void> set_log_age(Settings& settings, const std::string& value) {
  return set_log_number<Settings, &Settings::log_max_age_days>(settings, value);
}

constexpr std::array kKeys = {
    Key{"root_dir", "", set_dir<&Config::root_dir>},
    Key{"run_dir", "", set_dir<&Config::run_dir>},
    Key{"log_dir", "", set_dir<&Config::log_dir>},
    Key{"memory_dir", "", set_dir<&Config::memory_dir>},
    Key{"cni_conf_dir", "", set_text<&Config::cni_conf_dir>},
    Key{"cni_bin_dir", "", set_text<&Config::cni_bin_dir>},
    Key{"cni_timeout_seconds", "", set_number_or_default<&Config::cni_timeout_seconds>},
    Key{"dns", "", set_dns},
    Key{"ch_binary", "", set_text<&Config::ch_binary>},
    Key{"ch_firmware", "", set_text<&Config::ch_firmware>},
    Key{"fc_binary", "", set_text<&Config::fc_binary>},
    Key{"qemu_binary", "", set_text<&Config::qemu_binary>},
    Key{"hypervisor", "", set_hypervisor},
    Key{"use_firecracker", "", set_use_firecracker},
    Key{"stop_timeout_seconds", "", set_positive<&Config::stop_timeout_seconds>},
    Key{"pool_size", "", set_number<&Config::pool_size>},
    Key{"socket_wait_timeout_seconds", "",
        set_number_or_default<&Config::socket_wait_timeout_seconds>},
    Key{"terminate_grace_period_seconds", "",
        set_number_or_default<&Config::terminate_grace_period_seconds>},
    Key{"uid_base", "", set_positive<&Config::uid_base>},
    Key{"erofs_compression", "", set_text<&Config::erofs_compression>},
    Key{"max_layer_bytes", "", set_size<&Config::max_layer_bytes>},
    Key{"max_layer_entries", "", set_positive<&Config::max_layer_entries>},
    Key{"pull_conns", "", set_positive<&Config::pull_conns>},
    Key{"pull_timeout_seconds", "", set_number_or_default<&Config::pull_timeout_seconds>},
    Key{"max_download_bytes", "", set_size<&Config::max_download_bytes>},
    Key{"ca_file", "", set_text<&Config::ca_file>},
    Key{"insecure_registries", "", set_text<&Config::insecure_registries>},
    Key{"registry_mirrors", "", set_text<&Config::registry_mirrors>},
    Key{"log.level", "", set_log_level},
    Key{"log.filename", "", set_log_filename},
    Key{"log.use_json", "log.usejson", set_log_json},
    Key{"log.max_size", "log.maxsize", set_log_size},
    Key{"log.max_age", "log.maxage", set_log_age},
    Key{"log.max_backups", "log.maxbackups", set_log_backups},
};

std::string canonical(std::string_view name) {
  std::string out = to_lower(name);
  std::replace(out.begin(), out.end(), '.', '_');
  return out;
}

}  // namespace

std::span<const Key> all_keys() { return kKeys; }

const Key* find_key(std::string_view name) {
  std::string wanted = canonical(name);
  for (const Key& key : kKeys) {
    bool other = !key.other.empty() && canonical(key.other) == wanted;
    if (canonical(key.name) == wanted || other) return &key;
  }
  return nullptr;
}

std::vector<std::string> environment_names(const Key& key) {
  std::vector<std::string> out;
  for (std::string_view name : {key.name, key.other}) {
    if (name.empty()) continue;
    std::string upper = canonical(name);
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    out.push_back("COCOON_" + upper);
  }
  return out;
}

Result<std::vector<std::string>> parse_dns(std::string_view text) {
  std::string unified(text);
  std::replace(unified.begin(), unified.end(), ';', ',');
  std::vector<std::string> out;
  for (std::string_view part : split(unified, ',')) {
    std::string address(trim(part));
    if (address.empty()) continue;
    in6_addr ignored{};
    bool good = inet_pton(AF_INET, address.c_str(), &ignored) == 1 ||
                inet_pton(AF_INET6, address.c_str(), &ignored) == 1;
    if (!good) return fail(ErrorKind::kInvalid, "\"{}\" is not an IP address", address);
    out.push_back(std::move(address));
  }
  return out;
}

Result<LogLevel> parse_log_level(std::string_view text) {
  struct Name {
    std::string_view name;
    LogLevel level;
  };
  // The original's levels; we have none above error.
  constexpr std::array kNames = {Name{"trace", LogLevel::kTrace}, Name{"debug", LogLevel::kDebug},
                                 Name{"info", LogLevel::kInfo},   Name{"warn", LogLevel::kWarn},
                                 Name{"error", LogLevel::kError}, Name{"fatal", LogLevel::kOff},
                                 Name{"panic", LogLevel::kOff},   Name{"disabled", LogLevel::kOff}};
  std::string low = to_lower(trim(text));
  for (const Name& name : kNames) {
    if (name.name == low) return name.level;
  }
  auto number = parse_integer(low);
  if (number && *number >= -128 && *number <= 127) {
    constexpr std::array kByNumber = {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn,
                                      LogLevel::kError};
    if (*number < 0) return LogLevel::kTrace;
    if (*number >= static_cast<std::int64_t>(kByNumber.size())) return LogLevel::kOff;
    return kByNumber[static_cast<std::size_t>(*number)];
  }
  return fail(ErrorKind::kInvalid,
              "unknown log level \"{}\": wanted trace, debug, info, warn, error or disabled", text);
}

}  // namespace cocoon::cli
