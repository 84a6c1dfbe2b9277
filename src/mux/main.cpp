// SPDX-License-Identifier: Apache-2.0
//
// cocoon-mux: started by the first command that talks to a guest over QEMU's virtio-serial port,
// under the VMM's uid. Descriptors: 3 the listening socket agent.sock, 4 the port's socket, 5 the
// lock that says that it lives.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "mux/mux.h"

int main() {
  using cocoon::mux::UniqueFd;
  // A VMM that was taken over has the same uid: it is not to look into this process.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  struct stat info {};
  for (const int fd : {3, 4, 5})
    if (::fstat(fd, &info) != 0) return 2;
  cocoon::mux::Mux(UniqueFd(3), UniqueFd(4), {}).run();
  return 0;
}
