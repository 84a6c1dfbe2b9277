// SPDX-License-Identifier: Apache-2.0
// How a cloud image gets our agent: cloud-init takes it off the NoCloud disk at the first boot.
// Pure.
#pragma once

#include <string>

namespace cocoon::cidata {

// The systemd unit of the agent.
std::string render_agent_unit();

// A shell script of one line, run early at each boot (bootcmd): installs and starts the agent once.
// A guest with the original's agent, with ours, or without systemd is left alone. It holds nothing
// of a user's.
std::string render_agent_install();

}  // namespace cocoon::cidata
