// SPDX-License-Identifier: Apache-2.0
// Files that mean nothing after the host's next boot: nobody waits for the disk because of them.
#pragma once

#include <string_view>

#include "base/error.h"
#include "sys/files.h"

namespace cocoon::sys {

// Replaces `path` by a file of this content: temporary file beside it, rename. Nothing half-written
// is ever visible while the host runs; a crash of the host may leave the old file, an empty one or
// none. The temporary file is gone after a failure. kSystem.
Result<void> write_boot_file(const fs::path& path, std::string_view bytes, mode_t mode);

}  // namespace cocoon::sys
