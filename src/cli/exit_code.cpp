// SPDX-License-Identifier: Apache-2.0
#include "cli/exit_code.h"

namespace cocoon::cli {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid:
      return 2;
    case ErrorKind::kNotFound:
      return 3;
    case ErrorKind::kConflict:
    case ErrorKind::kWrongState:
    case ErrorKind::kBusy:
      return 4;
    case ErrorKind::kUnsupported:
      return 5;
    case ErrorKind::kInterrupted:
      return 130;
    case ErrorKind::kInternal:
    case ErrorKind::kTimeout:
    case ErrorKind::kVmm:
    case ErrorKind::kCorrupt:
    case ErrorKind::kSystem:
      return 1;
  }
  return 1;
}

int exit_code(const engine::BatchResult& result) {
  if (result.failed.empty()) return 0;
  int first = exit_code(result.failed.front().error.kind);
  for (const auto& failed : result.failed) {
    if (exit_code(failed.error.kind) != first) return 1;
  }
  return first;
}

}  // namespace cocoon::cli
