// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "guest/fd.h"

namespace cocoon::guest {

/// A listening vsock socket on that port, non-blocking; none while there is no vsock device.
UniqueFd listen_vsock(unsigned port);

/// The next connection of the host, non-blocking; none if there is none. Anybody else (a program in
/// this guest) is turned away.
UniqueFd accept_host(const UniqueFd& listener);

}  // namespace cocoon::guest
