// SPDX-License-Identifier: Apache-2.0
#include "engine/agent_stop.h"

#include "engine/agent_access.h"

namespace cocoon::engine {
namespace {

// Short, because a guest without an agent has the backend's way still to come.
constexpr Milliseconds kConnectLimit{1'200};
constexpr Milliseconds kAnswerLimit{6'000};

}  // namespace

Result<bool> ask_agent_to_stop(Ports& ports, const model::Vm& vm, bool by_reboot) {
  agent_wire::Frame frame;
  frame.type = agent_wire::type::kShutdown;
  frame.reboot = by_reboot;
  auto answer = ask_agent(ports, vm, agent_wire::render_frame(frame), kConnectLimit, kAnswerLimit);
  if (answer) return true;
  if (answer.error().kind == ErrorKind::kInterrupted) return pass(std::move(answer).error());
  ignore(answer, "the backend asks the guest next");
  return false;
}

}  // namespace cocoon::engine
