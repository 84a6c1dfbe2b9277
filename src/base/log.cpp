// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <atomic>
#include <memory>

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/text.h"

namespace cocoon {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kWarn};

// Set once by configure_log before any thread starts; null until a line is really written, so that
// a command without log lines never pays for the library.
LogOptions& pending_options() {
  static LogOptions options;
  return options;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> make_logger() {
  const LogOptions& options = pending_options();
  spdlog::sink_ptr sink;
  if (options.filename.empty()) {
    auto color = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    sink = color;
  } else {
    sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
        options.filename, static_cast<std::size_t>(options.max_size_mb) * 1024 * 1024,
        static_cast<std::size_t>(options.max_backups));
  }
  auto logger = std::make_shared<spdlog::logger>("cocoon", sink);
  logger->set_level(spdlog::level::trace);
  bool json = options.json || !options.filename.empty();
  logger->set_pattern(json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%f%z","level":"%l","message":"%v"})"
                           : "%Y-%m-%d %H:%M:%S %^%L%$ %v");
  logger->flush_on(spdlog::level::trace);
  return logger;
}

std::string json_escaped(std::string_view text) {
  std::string out;
  for (char c : escape_controls(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

void configure_log(const LogOptions& options) {
  pending_options() = options;
  g_level = options.level;
}

bool log_enabled(LogLevel level) { return level >= g_level.load(std::memory_order_relaxed); }

void write_log(LogLevel level, std::string_view message) {
  // spdlog throws when its file cannot be opened; a log that cannot be written ends no command.
  try {
    static const std::shared_ptr<spdlog::logger> logger = make_logger();
    bool json = pending_options().json || !pending_options().filename.empty();
    logger->log(to_spdlog(level), "{}", json ? json_escaped(message) : escape_controls(message));
  } catch (const std::exception&) {
  }
}

}  // namespace cocoon
