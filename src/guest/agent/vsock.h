// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/vm_sockets.h>
#include <sys/socket.h>

#include "guest/fd.h"

namespace cocoon::guest {

/// A listening vsock socket on that port, non-blocking; none while there is no vsock device.
UniqueFd listen_vsock(unsigned port);

/// Whether it is the host that connects (CID 2), and not a program in this guest. Pure.
bool is_host(const sockaddr_vm& peer);

/// The next connection of the host, non-blocking; none if there is none. Anybody else (a program in
/// this guest) is turned away.
UniqueFd accept_host(const UniqueFd& listener);

}  // namespace cocoon::guest
