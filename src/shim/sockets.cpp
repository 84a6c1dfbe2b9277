// SPDX-License-Identifier: Apache-2.0
#include "shim/sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

namespace cocoon::shim {

Outcome listen_at(int directory, const char* name, int type, UniqueFd& listener) {
  listener = UniqueFd(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return failure_errno("socket");
  Text<64> path("/proc/self/fd/");
  path.add_number(directory).add("/").add(name);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.view().size() + 1);
  ::unlinkat(directory, name, 0);
  // sockaddr_un is passed as sockaddr by the API's design.
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(listener.get(), generic, sizeof address) != 0) return failure_errno(name);
  // Nobody can connect before listen().
  if (::fchmodat(directory, name, 0600, 0) != 0) return failure_errno(name);
  if (::listen(listener.get(), 16) != 0) return failure_errno(name);
  return success();
}

Peer peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return {};
  return {credentials.pid, credentials.uid};
}

}  // namespace cocoon::shim
