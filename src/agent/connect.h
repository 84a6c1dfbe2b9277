// SPDX-License-Identifier: Apache-2.0
// From a VM to a stream that is one session with its agent.
//
// Every transport ends in the same form: a Unix socket that takes "CONNECT <port>\n" and answers
// "OK <number>\n" (the VMMs' hybrid vsock, and cocoon-mux for QEMU's virtio-serial port).
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace cocoon::agent {

struct Connect {
  int dir = -1;        // the directory that the socket lies in
  std::string socket;  // its name in there
  unsigned port = 0;
  // The VMM: its end is noticed while waiting. Null: not watched.
  const sys::LiveProcess* vmm = nullptr;
  // Made ready before each try (starting cocoon-mux); may be empty.
  std::function<Result<void>()> prepare = {};
  // Nobody who listens now is an answer: kNotFound, and no second try.
  bool once = false;
  // Called once when the agent does not answer at once.
  std::function<void()> on_wait = {};
};

// A session's stream, non-blocking. Tries again until the deadline: guests that boot have no agent
// yet, which a VMM says by closing the connection without a word. kTimeout then; kVmm when the VMM
// ended; kInterrupted; kCorrupt when the other side does not keep to the form.
Result<sys::UniqueFd> connect_agent(const Connect& how, Deadline deadline);

}  // namespace cocoon::agent
