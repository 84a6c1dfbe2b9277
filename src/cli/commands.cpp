// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include "cli/general/general.h"
#include "cli/vm/disk/disk.h"

namespace cocoon::cli {

Program cocoon_program(const HelperBodies& bodies) {
  return {.is_helper = false,
          .groups = {{"vm", "Manage VMs"},
                     {"vm disk", "Attach, detach, list and grow the disks of a VM"},
                     {"snapshot", "Save running VMs; list, move and remove what was saved"},
                     {"image", "Manage the images that VMs are made from"},
                     {"kernel", "Manage the kernels of images that have none"}},
          .commands = {
              vm_create_command(),
              vm_run_command(),
              vm_debug_command(),
              vm_start_command(),
              vm_stop_command(),
              vm_restart_command(),
              vm_rm_command(),
              vm_clone_command(bodies.snapshot_directory),
              vm_restore_command(bodies.verify_snapshot),
              vm_hibernate_command(),
              vm_list_command(),
              vm_inspect_command(),
              vm_status_command(),
              vm_exec_command(),
              vm_cp_command(),
              vm_wait_command(),
              vm_reseed_command(),
              vm_console_command(),
              vm_logs_command(),
              vm_net_command(),
              vm_disk_attach_command(),
              vm_disk_detach_command(),
              vm_disk_list_command(),
              vm_disk_resize_command(),
              snapshot_save_command(),
              snapshot_list_command(),
              snapshot_inspect_command(),
              snapshot_export_command(bodies.snapshot_export),
              snapshot_import_command(bodies.snapshot_import),
              snapshot_verify_command(bodies.snapshot_verify),
              snapshot_rm_command(),
              image_pull_command(bodies.image_pull),
              image_import_command(bodies.image_import),
              image_list_command(),
              image_inspect_command(),
              image_rm_command(),
              image_prune_command(),
              kernel_import_command(bodies.kernel_import),
              kernel_list_command(),
              kernel_inspect_command(),
              kernel_default_command(),
              kernel_rm_command(),
              gc_command(),
              doctor_command(),
              version_command(),
              completion_command(),
              help_command(),
          }};
}

}  // namespace cocoon::cli
