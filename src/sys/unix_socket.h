// SPDX-License-Identifier: Apache-2.0
// Unix stream and seqpacket sockets in a directory that is reached by descriptor: the path handed
// to the kernel is /proc/self/fd/<dirfd>/<name>, so the 108-byte limit of sockaddr_un never bites
// and a replaced parent directory cannot redirect us (design §5).
#pragma once

#include <sys/socket.h>

#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace cocoon::sys {

// Connects to `name` (one component, a socket and no link) in `dirfd`. `type` is SOCK_STREAM or
// SOCK_SEQPACKET. kSystem with errno ENOENT or ECONNREFUSED when nobody listens.
Result<UniqueFd> connect_unix(int dirfd, const std::string& name, int type);

// The process at the other end (SO_PEERCRED).
Result<pid_t> peer_pid(int socket);

}  // namespace cocoon::sys
