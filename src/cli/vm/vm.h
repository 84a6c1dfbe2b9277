// SPDX-License-Identifier: Apache-2.0
// The commands of the group "vm".
#pragma once

#include "cli/command.h"

namespace cocoon::cli {

Command vm_clone_command();
Command vm_console_command();
Command vm_cp_command();
Command vm_create_command();
Command vm_debug_command();
Command vm_exec_command();
Command vm_hibernate_command();
Command vm_inspect_command();
Command vm_list_command();
Command vm_logs_command();
Command vm_net_command();
Command vm_reseed_command();
Command vm_restart_command();
Command vm_restore_command();
Command vm_rm_command();
Command vm_run_command();
Command vm_start_command();
Command vm_status_command();
Command vm_stop_command();
Command vm_wait_command();

}  // namespace cocoon::cli
