// SPDX-License-Identifier: Apache-2.0
// Commands outside of the groups.
#pragma once

#include "cli/command.h"

namespace cocoon::cli {

Command completion_command();
Command doctor_command();
Command gc_command();
Command help_command();
Command version_command();

}  // namespace cocoon::cli
