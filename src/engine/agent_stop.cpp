// SPDX-License-Identifier: Apache-2.0
#include "engine/agent_stop.h"

#include <algorithm>

#include "engine/agent_access.h"

namespace cocoon::engine {
namespace {

constexpr Milliseconds kConnectLimit{1'200};
constexpr Milliseconds kAnswerLimit{6'000};

}  // namespace

AgentStopLimits agent_stop_limits(Milliseconds left) {
  Milliseconds share = left / 2;
  Milliseconds connect = std::min(kConnectLimit, share / 2);
  return {connect, std::min(kAnswerLimit, share - connect)};
}

Result<bool> ask_agent_to_stop(Ports& ports, const model::Vm& vm, bool by_reboot,
                               Deadline deadline) {
  AgentStopLimits limits = agent_stop_limits(time_left(deadline));
  if (limits.connect.count() == 0) return false;
  agent_wire::Frame frame;
  frame.type = agent_wire::type::kShutdown;
  frame.reboot = by_reboot;
  auto answer =
      ask_agent(ports, vm, agent_wire::render_frame(frame), limits.connect, limits.answer);
  if (answer) return true;
  if (answer.error().kind == ErrorKind::kInterrupted) return pass(std::move(answer).error());
  ignore(answer, "the backend asks the guest next");
  return false;
}

}  // namespace cocoon::engine
