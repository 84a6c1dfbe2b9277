// SPDX-License-Identifier: Apache-2.0
//
// The kernel's own file systems, first in the initramfs, then in the new root, as a container
// engine's user expects them.
#pragma once

#include "guest/boot_config.h"
#include "guest/console.h"
#include "guest/root_dir.h"

namespace cocoon::guest {

/// proc, sysfs and devtmpfs in the initramfs. One that is there already is fine.
Result<void> mount_kernel_filesystems();

/// Moves the three into the new root. Fails if the image leaves no place for one.
Result<void> move_kernel_filesystems(const RootDir& root);

/// /dev/pts, /dev/shm, /dev/mqueue and the usual links in /dev of the new root; for an entrypoint
/// cgroup2 too (an init mounts the hierarchy that it wants). Failures are console warnings.
void complete_dev(const RootDir& root, RunMode mode, Console& console);

}  // namespace cocoon::guest
