// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_exec.h"

#include <cstdlib>

namespace cocoon::engine {
namespace {

void add_variable(agent_wire::StringMap& env, const std::string& entry) {
  std::size_t equals = entry.find('=');
  std::string name = entry.substr(0, equals);
  std::string value;
  if (equals != std::string::npos) {
    value = entry.substr(equals + 1);
  } else if (const char* own = std::getenv(name.c_str())) {
    value = own;
  } else {
    return;  // as docker does: what the caller does not have is not set
  }
  std::erase_if(env, [&](const auto& one) { return one.first == name; });
  env.emplace_back(std::move(name), std::move(value));
}

}  // namespace

agent_wire::Frame render_exec(const ExecRequest& request) {
  agent_wire::Frame frame;
  frame.argv = request.argv;
  frame.workdir = request.workdir;
  frame.user = request.user;
  if (request.terminal) {
    frame.tty = true;
    frame.rows = request.terminal->rows;
    frame.cols = request.terminal->columns;
    add_variable(frame.env, "TERM");
  }
  for (const std::string& entry : request.env) add_variable(frame.env, entry);
  bool plain = !frame.tty && frame.workdir.empty() && frame.user.empty();
  frame.type = plain ? agent_wire::type::kExec : agent_wire::type::kRun;
  if (request.argv.empty()) frame.type = agent_wire::type::kAttach;
  return frame;
}

Result<agent::Session> begin_exec(Ports& ports, const model::Vm& vm, const ExecRequest& request) {
  agent::Session session = COCOON_TRY(open_agent(ports, vm, request.wait));
  session.send(render_exec(request));
  return session;
}

}  // namespace cocoon::engine
