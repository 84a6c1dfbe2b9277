// SPDX-License-Identifier: Apache-2.0
#include "sys/unix_socket.h"

#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "sys/files.h"

namespace cocoon::sys {

Result<UniqueFd> connect_unix(int dirfd, const std::string& name, int type) {
  // O_PATH pins the inode: what was checked is what is connected to.
  UniqueFd target = COCOON_TRY(open_beneath(dirfd, name, O_PATH | O_NOFOLLOW));
  struct stat info {};
  if (fstat(target.get(), &info) != 0) return fail_errno(fmt::format("stat {}", name));
  if (!S_ISSOCK(info.st_mode)) return fail(ErrorKind::kCorrupt, "{} is not a socket", name);
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno("make a socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = fmt::format("/proc/self/fd/{}", target.get());
  std::memcpy(address.sun_path, path.data(), path.size());
  int status = 0;
  do {
    status = connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  } while (status != 0 && errno == EINTR);
  if (status != 0) return fail_errno(fmt::format("connect {}", name));
  return fd;
}

Result<pid_t> peer_pid(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return fail_errno("read the peer of a socket");
  }
  return peer.pid;
}

}  // namespace cocoon::sys
