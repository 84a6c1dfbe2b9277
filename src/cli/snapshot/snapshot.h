// SPDX-License-Identifier: Apache-2.0
// The commands of the group "snapshot".
#pragma once

#include "cli/command.h"

namespace cocoon::cli {

Command snapshot_inspect_command();
Command snapshot_list_command();
Command snapshot_rm_command();
Command snapshot_save_command();

}  // namespace cocoon::cli
