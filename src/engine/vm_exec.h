// SPDX-License-Identifier: Apache-2.0
// `vm exec`: a program in a running guest.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/session.h"
#include "base/clock.h"
#include "engine/agent_access.h"
#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

struct GuestTerminal {
  unsigned short rows = 0;
  unsigned short columns = 0;
};

struct ExecRequest {
  std::vector<std::string> argv;  // empty: the VM's own entrypoint, which waits to be attached to
  std::vector<std::string> env;   // K=V; a bare K takes the caller's value
  std::string workdir;            // empty: /
  std::string user;               // empty: root
  std::optional<GuestTerminal> terminal;
  Milliseconds wait = kAgentWait;
};

// The first frame. An original's agent understands what asks for nothing but argv and env, and
// refuses the rest at once. Pure but for the caller's environment.
agent_wire::Frame render_exec(const ExecRequest& request);

// A session whose first frame is sent; its "started" or "error" frame is to come.
Result<agent::Session> begin_exec(Ports& ports, const model::Vm& vm, const ExecRequest& request);

}  // namespace cocoon::engine
