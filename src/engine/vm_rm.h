// SPDX-License-Identifier: Apache-2.0
// `vm rm`: nothing of the VM stays behind.
#pragma once

#include <string>

#include "engine/ports.h"

namespace cocoon::engine {

// Removes a VM with its directories, uid, memory file, logs, lock and row. A running one only with
// `force` (killed at once), else kWrongState. Can be repeated after a failure.
Result<void> remove_vm(Ports& ports, const std::string& id, bool force);

}  // namespace cocoon::engine
