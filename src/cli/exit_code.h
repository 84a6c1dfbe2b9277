// SPDX-License-Identifier: Apache-2.0
// Exit codes (design §11): 0 success, 1 failure, 2 usage, 3 not found, 4 conflict or busy, 5 not
// supported here, 130 interrupted.
#pragma once

#include "base/error.h"
#include "engine/batch.h"

namespace cocoon::cli {

int exit_code(ErrorKind kind);

// 0 when nothing failed; the common code of all failures, or 1 when they differ.
int exit_code(const engine::BatchResult& result);

}  // namespace cocoon::cli
