// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/outcome.h"

namespace cocoon::shim {

// Makes the process what the rest relies on, whoever started it: leader of its own session, umask
// 077, no descriptors but 0 and 2 (/dev/null) and 1 (the report pipe), SIGHUP, SIGINT, SIGPIPE and
// other stray signals ignored, SIGALRM without effect but to end a blocking call (Console), SIGTERM
// blocked except while it waits.
Outcome set_up_process();

// True once SIGTERM has come.
bool stop_requested();

// Writes one line to the report pipe and closes it (descriptor 1 becomes /dev/null). Control
// characters become '?'. That nobody reads any more is no error: the VMM runs, and the next command
// finds it.
void report(std::string_view line);

}  // namespace cocoon::shim
