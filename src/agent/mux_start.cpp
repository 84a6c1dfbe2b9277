// SPDX-License-Identifier: Apache-2.0
#include "agent/mux_start.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "sys/fault.h"
#include "sys/spawn.h"
#include "sys/unix_socket.h"

namespace cocoon::agent {
namespace {

// The lock, or nothing when a mux holds it.
Result<std::optional<sys::UniqueFd>> take_lock(const sys::fs::path& vm_dir) {
  // Read-only is enough for flock, and the mux gets this descriptor.
  sys::UniqueFd lock = COCOON_TRY(
      sys::open_file(vm_dir / kMuxLock, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return std::optional(std::move(lock));
  if (errno == EWOULDBLOCK) return std::optional<sys::UniqueFd>();
  return fail_errno("lock the agent's mux");
}

// Listens at kMuxSocket in the directory, for us alone.
Result<sys::UniqueFd> listen_in(const sys::fs::path& vm_dir) {
  sys::UniqueFd dir = COCOON_TRY(sys::open_dir(vm_dir));
  if (unlinkat(dir.get(), kMuxSocket, 0) != 0 && errno != ENOENT) {
    return fail_errno("remove a stale agent.sock");
  }
  sys::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno("make a socket");
  fchmod(fd.get(), 0600);  // what bind() gives the file
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = fmt::format("/proc/self/fd/{}/{}", dir.get(), kMuxSocket);
  std::memcpy(address.sun_path, path.data(), path.size());
  constexpr int kWaiting = 256;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd.get(), kWaiting) != 0) {
    return fail_errno("listen at agent.sock");
  }
  return fd;
}

Result<sys::UniqueFd> connect_port(const MuxStart& start) {
  sys::UniqueFd dir = COCOON_TRY(sys::open_dir(start.vm_dir));
  sys::UniqueFd port =
      COCOON_TRY(sys::connect_unix(dir.get(), start.port_socket, SOCK_STREAM | SOCK_NONBLOCK));
  pid_t peer = COCOON_TRY(sys::peer_pid(port.get()));
  if (peer != start.vmm) {
    return fail(ErrorKind::kCorrupt, "{} belongs to process {}, not to the VMM {}",
                start.port_socket, peer, start.vmm);
  }
  return port;
}

}  // namespace

Result<void> ensure_mux(const MuxStart& start) {
  auto lock = COCOON_TRY(take_lock(start.vm_dir));
  if (!lock) return {};
  sys::UniqueFd port = COCOON_TRY(connect_port(start));
  sys::UniqueFd listener = COCOON_TRY(listen_in(start.vm_dir));
  sys::SpawnSpec spec;
  spec.program = COCOON_TRY(sys::libexec_dir()) + "/cocoon-mux";
  spec.cwd = std::string("/");
  spec.fds = {{listener.get(), 3}, {port.get(), 4}, {lock->get(), 5}};
  spec.new_session = true;
  spec.die_with_parent = false;
  spec.cgroup = start.cgroup;
  if (geteuid() == 0) spec.user = {start.uid, start.uid};
  sys::Child child = COCOON_TRY(sys::spawn(spec), "start cocoon-mux");
  child.detach();
  sys::side_effect("start mux");
  return {};
}

void wait_mux_end(const sys::fs::path& vm_dir, Milliseconds limit) {
  Deadline deadline = deadline_in(limit);
  while (time_left(deadline).count() > 0) {
    auto lock = sys::open_file(vm_dir / kMuxLock, O_RDONLY | O_NOFOLLOW);
    if (!lock || flock(lock->get(), LOCK_SH | LOCK_NB) == 0) return;
    // flock(2) has no timeout; the mux is about to end.
    std::this_thread::sleep_for(Milliseconds(2));
  }
}

}  // namespace cocoon::agent
