// SPDX-License-Identifier: Apache-2.0
// Bytes over a connected stream socket with deadlines and cancellation. Writing never raises
// SIGPIPE. Errors of all functions: kTimeout, kInterrupted; kSystem with ECONNRESET when the peer
// is gone, be it by end of file or by a reset; kSystem for anything else.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace cocoon::sys {

// Waits for bytes and reads what is there: at least one.
Result<std::size_t> receive_some(int socket, std::span<char> buffer, Deadline deadline);

// Sends all bytes.
Result<void> send_all(int socket, std::string_view bytes, Deadline deadline);

// Sends all bytes, the first of them with a descriptor (SCM_RIGHTS, unix(7)): a copy for the peer.
Result<void> send_with_fd(int socket, std::string_view bytes, int fd, Deadline deadline);

// Is it the error of a peer that is gone?
bool is_peer_gone(const Error& error);

}  // namespace cocoon::sys
