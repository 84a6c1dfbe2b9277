// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "guest/fd.h"
#include "guest/result.h"
#include "guest/root_dir.h"

namespace cocoon::guest {

/// Removes everything below the directory that is on its own file system, so that the initramfs
/// (boot.json with its secrets too) takes no memory any more. Refuses anything but ramfs and tmpfs.
Result<void> remove_ram_tree(int directory);

/// Makes the new root the root of this process and so of all that follow. `initramfs` is the old
/// root; through that descriptor the COW stays reachable for the end of the VM.
Result<void> switch_root(const RootDir& root, const UniqueFd& initramfs);

}  // namespace cocoon::guest
