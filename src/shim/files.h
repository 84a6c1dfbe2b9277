// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string_view>

#include "shim/fd.h"
#include "shim/outcome.h"

namespace cocoon::shim {

// Opens a directory for use with the *at() calls. The shim keeps such descriptors from before it
// gives up its rights, so that it needs no right to walk down to the directory later.
UniqueFd open_directory(const char* path);

// Reads a whole file of at most buffer.size() - 1 bytes (one more is a failure). `used` is its
// size.
Outcome read_file_at(int directory, const char* name, std::span<char> buffer, std::size_t& used);

// Like read_file_at, for a file that only root can have written: regular, owned by us, one link, no
// access for others, not a symbolic link.
Outcome read_private_file_at(int directory, const char* name, std::span<char> buffer,
                             std::size_t& used);

// Writes all bytes; false with errno set when it cannot.
bool write_all(int fd, std::string_view bytes);

// Whether a new file must survive a crash of the host.
enum class Durability { kAtomicOnly, kSynced };

// Puts `content` into `name` by way of `temporary` in the same directory (0600). After a failure
// the old file, if any, is as it was, and no temporary is left. One writer at a time: the caller
// holds the VM's shim.lock. kSynced syncs file and directory.
Outcome replace_file_at(int directory, const char* temporary, const char* name,
                        std::string_view content, Durability durability);

}  // namespace cocoon::shim
