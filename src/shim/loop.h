// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/shim.h"

namespace cocoon::shim {

// Serves a launched or adopted VMM until it has ended and its exit record is on disk, or until
// SIGTERM. When the VMM ends: the console is read to its end, the exit record is written, sockets
// and identity file are removed, clients are told. A record that cannot be written (no space) is
// tried again every second, as long as its directory exists. SIGTERM ends only the shim; the VMM
// and its identity file stay for an adopter.
void serve(Shim& shim);

}  // namespace cocoon::shim
