// SPDX-License-Identifier: Apache-2.0
// The age limit of rotated log files (log.max_age); size and number are the log library's work.
#pragma once

#include <filesystem>

namespace cocoon::cli {

// Removes the rotated predecessors (<stem>.1<ext> … <stem>.<backups><ext>) of a log file that were
// last written more than `days` ago. Failures are only logged.
void remove_old_logs(const std::filesystem::path& file, int backups, int days);

}  // namespace cocoon::cli
