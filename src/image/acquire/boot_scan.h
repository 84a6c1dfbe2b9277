// SPDX-License-Identifier: Apache-2.0
// Kernels and initrds inside images (spec 02 §5.6, §17 B13).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/image.h"
#include "sys/files.h"

namespace cocoon::image {

// What an unpacked layer says about boot files: candidates, links to them, and what it hides of the
// layers below. Reads the tree below `root_fd`; follows no link.
Result<std::vector<model::BootEntry>> scan_boot_entries(int root_fd);

// Keeps the candidate files of a tree as `<dir>/<sha256>` (hard links). After mkfs only: a further
// link would change the link count in the file system made from the tree.
Result<void> stash_boot_files(int root_fd, const std::vector<model::BootEntry>& entries,
                              const sys::fs::path& dir);

struct BootFiles {
  model::BootEntry kernel;
  model::BootEntry initrd;
};

// The kernel and initrd that belong together, from what each layer says, bottom first: what
// boot/vmlinuz points to, else the highest version that has both. nullopt: the image does not boot
// by itself. kCorrupt when the chosen file is empty. Pure.
Result<std::optional<BootFiles>> choose_boot_files(
    const std::vector<std::vector<model::BootEntry>>& layers);

}  // namespace cocoon::image
