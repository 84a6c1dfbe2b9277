// SPDX-License-Identifier: Apache-2.0
// The commands of the group "vm disk".
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "engine/vm_disk_attach.h"
#include "engine/vm_disk_list.h"

namespace cocoon::cli {

Command vm_disk_attach_command();
Command vm_disk_detach_command();
Command vm_disk_list_command();
Command vm_disk_resize_command();

// NAME SIZE USED FSTYPE MOUNT ROLE ATTACHED. Pure.
std::string disk_table(const std::vector<engine::DiskView>& disks);

// Where a disk that was attached to a running guest is mounted, or how to mount it, or why it is
// mounted by itself later; one line. Pure.
std::string mount_hint(const engine::AttachedDisk& done);

}  // namespace cocoon::cli
