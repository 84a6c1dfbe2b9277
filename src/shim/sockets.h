// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include "shim/fd.h"
#include "shim/outcome.h"

namespace cocoon::shim {

inline constexpr const char* kConsoleSocket = "console.sock";  // SOCK_STREAM, raw bytes
inline constexpr const char* kShimSocket = "shim.sock";        // SOCK_SEQPACKET, framed

// Binds and listens on `name` in the VM directory (0600), replacing what a dead shim left. The
// directory is reached as /proc/self/fd/<n>, because a socket address holds 108 bytes only.
Outcome listen_at(int directory, const char* name, int type, UniqueFd& listener);

// Who connected (SO_PEERCRED); pid -1 when unknown.
struct Peer {
  pid_t pid = -1;
  uid_t uid = static_cast<uid_t>(-1);
};
Peer peer_of(int socket);

}  // namespace cocoon::shim
