// SPDX-License-Identifier: Apache-2.0
// From a VM's record to a session with the agent in its guest.
#pragma once

#include <string>

#include "agent/session.h"
#include "base/clock.h"
#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// How long a guest that still boots is waited for, unless a command says otherwise.
inline constexpr Milliseconds kAgentWait{60'000};

// A session with the agent of a running VM. While the guest boots it is waited for, and the user is
// told what for; with `once` neither: kNotFound when nobody listens. kWrongState: the VM does not
// run, or ended before anybody answered. kTimeout: nobody answered.
Result<agent::Session> open_agent(Ports& ports, const model::Vm& vm, Milliseconds limit,
                                  bool once = false);

// One question, one answer: the frame that ended the session. An "error" frame of the guest is an
// error here: kUnsupported when the agent does not know such requests, else kVmm with its words.
Result<agent_wire::Frame> ask_agent(Ports& ports, const model::Vm& vm, std::string_view line,
                                    Milliseconds connect_limit, Milliseconds answer_limit,
                                    bool once = false);

// The error that an "error" frame stands for.
Failure guest_failure(const agent_wire::Frame& frame);

}  // namespace cocoon::engine
