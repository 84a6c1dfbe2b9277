// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cocoon::guest {

/// `cocoon-guest agent`: the agent as a program of its own, where this program is not PID 1 (cloud
/// images, and tests, which hand the host's end over as a descriptor). Returns the exit status.
///
///   --stream FD    one session over this descriptor
///   --serial FD    many sessions over this descriptor
///   --attach CMD [ARG...]   the program that waits for the host to attach (last)
int agent_main(int argc, char** argv);

}  // namespace cocoon::guest
