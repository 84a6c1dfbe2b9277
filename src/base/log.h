// SPDX-License-Identifier: Apache-2.0
// Logging: always to stderr (or the configured file), never to stdout. Below cli only debug lines
// and warnings of the form "ignoring …" are logged; errors are returned (style: log or return).
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace cocoon {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError, kOff };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  bool json = false;     // one JSON object a line
  std::string filename;  // empty: stderr; else a file, JSON, rotated
  int max_size_mb = 500;
  int max_backups = 3;
};

// Sets the process's log up; without a call, warnings and worse go to stderr as text.
void configure_log(const LogOptions& options);

bool log_enabled(LogLevel level);
void write_log(LogLevel level, std::string_view message);

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kDebug)) {
    write_log(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kInfo)) {
    write_log(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kWarn)) {
    write_log(LogLevel::kWarn, fmt::format(format, std::forward<Args>(args)...));
  }
}

}  // namespace cocoon
