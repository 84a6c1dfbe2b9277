// SPDX-License-Identifier: Apache-2.0
#include "cli/config/log_files.h"

#include <chrono>

#include "base/error.h"
#include "sys/files.h"

namespace cocoon::cli {

void remove_old_logs(const std::filesystem::path& file, int backups, int days) {
  namespace fs = std::filesystem;
  auto oldest = fs::file_time_type::clock::now() - std::chrono::hours(24) * days;
  for (int number = 1; number <= backups; ++number) {
    fs::path rotated = file;
    rotated.replace_filename(
        fmt::format("{}.{}{}", file.stem().native(), number, file.extension().native()));
    std::error_code error;
    auto written = fs::last_write_time(rotated, error);
    if (!error && written < oldest) ignore(sys::remove_file(rotated), "old log file");
  }
}

}  // namespace cocoon::cli
