// SPDX-License-Identifier: Apache-2.0
// cocoon-mux: the process that gives each command its own stream where the VMM has only one (QEMU's
// virtio-serial port). Whoever needs it first starts it; it ends by itself.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "sys/files.h"
#include "sys/process.h"

namespace cocoon::agent {

// Where commands connect, in the VM directory.
inline constexpr const char* kMuxSocket = "agent.sock";
inline constexpr const char* kMuxLock = "agent.lock";  // held while a mux lives

struct MuxStart {
  sys::fs::path vm_dir;
  std::string port_socket;  // the VMM's, below vm_dir: "sock/agent"
  pid_t vmm = 0;            // what must be at the other end of it
  uid_t uid = 0;            // the mux runs under this uid and gid
  sys::fs::path cgroup;     // where it lives, so that it outlives its caller's; may be empty
};

// A mux is there. kSystem with ENOENT or ECONNREFUSED while the VMM does not listen yet.
Result<void> ensure_mux(const MuxStart& start);

// Waits until no mux is left: it ends with its VMM.
void wait_mux_end(const sys::fs::path& vm_dir, Milliseconds limit);

}  // namespace cocoon::agent
