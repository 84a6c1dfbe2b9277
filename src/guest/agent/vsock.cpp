// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/vsock.h"

#include <sys/ioctl.h>

namespace cocoon::guest {
namespace {

/// Without a transport to a host, a listener would bind to nothing but loopback, for ever.
bool has_device() {
  const UniqueFd device(::open("/dev/vsock", O_RDONLY | O_CLOEXEC));
  unsigned cid = 0;

  if (!device) return false;

  return ::ioctl(device.get(), IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) == 0 &&
         cid != VMADDR_CID_ANY && cid != VMADDR_CID_LOCAL;
}

}  // namespace

UniqueFd listen_vsock(unsigned port) {
  if (!has_device()) return {};
  UniqueFd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = port;
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 64) != 0)
    return {};
  return fd;
}

bool is_host(const sockaddr_vm& peer) {
  return peer.svm_family == AF_VSOCK && peer.svm_cid == VMADDR_CID_HOST;
}

UniqueFd accept_host(const UniqueFd& listener) {
  sockaddr_vm peer{};
  socklen_t size = sizeof peer;
  UniqueFd fd(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd && !is_host(peer)) return {};
  return fd;
}

}  // namespace cocoon::guest
