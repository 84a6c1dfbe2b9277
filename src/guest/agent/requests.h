// SPDX-License-Identifier: Apache-2.0
//
// What the host may ask for besides running programs. The first three run in a child of their own,
// with their answer on descriptor 1, because they may block; they return its exit status.
#pragma once

#include <string_view>

#include "agent_wire/frame.h"
#include "guest/result.h"

namespace cocoon::guest {

/// Entropy, and a new machine id if asked for. Failures are lines on descriptor 1.
int reseed(const agent_wire::Frame& frame);

/// One line per item of the identity on descriptor 1.
int apply_identity_frame(std::string_view line);

/// tar_read, tar_write: the archive goes over descriptors 1 and 0, failures to descriptor 2.
int transfer(const agent_wire::Frame& frame);

/// Begins the end of the VM, in order. `own_pid_1`: PID 1 is this program.
Result<void> request_shutdown(bool reboot, bool own_pid_1);

}  // namespace cocoon::guest
