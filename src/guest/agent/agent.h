// SPDX-License-Identifier: Apache-2.0
//
// The agent: answers the host's requests for as long as the VM lives. One process, one poll loop,
// many sessions; the wire is in docs/agent.md.
#pragma once

#include <optional>
#include <string>

#include "guest/boot_config.h"
#include "guest/environment.h"
#include "guest/fd.h"

namespace cocoon::guest {

struct AgentConfig {
  Environment env;       // what the programs of sessions start from
  std::string hostname;  // empty: unknown
  std::string phase;     // told to the host: "entrypoint", "init"
  /// The VM's own program waits for the host to attach to it; its end is the agent's end.
  std::optional<RunSpec> attach;
  bool end_with_pid_1 = false;  // SIGTERM ends the agent (it is a child of our own PID 1)
  /// Where the host is, instead of vsock and the virtio-serial port: for tests.
  UniqueFd stream;  // one session
  UniqueFd serial;  // many, multiplexed
};

/// Runs until it is told to end; returns the exit code of the attached program, 0 without one.
int run_agent(AgentConfig config);

/// Forks the agent off. It leads a process group of its own, and its name begins with '@', so that
/// systemd leaves it alive at shutdown until the last file system is gone. `argv0` is main()'s.
Result<pid_t> start_agent(AgentConfig config, char* argv0);

}  // namespace cocoon::guest
