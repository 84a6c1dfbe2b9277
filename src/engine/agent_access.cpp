// SPDX-License-Identifier: Apache-2.0
#include "engine/agent_access.h"

#include "agent/connect.h"
#include "agent/mux_start.h"
#include "engine/cgroups.h"
#include "engine/vm_view.h"
#include "sys/files.h"
#include "sys/process.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

// The record does not say so yet.
Failure just_ended(const model::Vm& vm) {
  return fail(ErrorKind::kWrongState, "vm \"{}\" is not running: it has just ended",
              vm.config.name);
}

}  // namespace

Result<agent::Session> open_agent(Ports& ports, const model::Vm& vm, Milliseconds limit,
                                  bool once) {
  if (vm.state != model::VmState::kRunning) {
    return fail(ErrorKind::kWrongState, "vm \"{}\" is {}, not running", vm.config.name,
                model::state_name(vm.state));
  }
  auto vmm = COCOON_TRY(sys::LiveProcess::open({vm.vmm.pid, vm.vmm.start_time}));
  if (!vmm) return just_ended(vm);
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  vmm::AgentSocket place = backend->agent_socket();
  store::fs::path vm_path = vm_dir(ports, vm);
  sys::UniqueFd dir = COCOON_TRY(sys::open_dir(vm_path));
  agent::Connect how;
  how.dir = dir.get();
  how.socket = place.name;
  how.port = agent_wire::kAgentPort;
  how.vmm = &*vmm;
  how.once = once;
  how.on_wait = [&] {
    if (once) return;
    ports.note(fmt::format("waiting for the agent in vm \"{}\" (at most {} s)", vm.config.name,
                           limit.count() / 1000));
  };
  if (place.one_stream) {
    agent::MuxStart mux{vm_path, place.name, vm.vmm.pid, vm.uid, {}};
    if (auto cgroup = make_shim_cgroup()) mux.cgroup = *cgroup;
    how.socket = agent::kMuxSocket;
    how.prepare = [mux] { return agent::ensure_mux(mux); };
  }
  auto stream = agent::connect_agent(how, deadline_in(limit));
  if (stream) return agent::Session(std::move(*stream));
  if (stream.error().kind != ErrorKind::kInterrupted &&
      COCOON_TRY(vmm->wait_exit(Milliseconds(0)))) {
    return just_ended(vm);
  }
  if (stream.error().kind == ErrorKind::kTimeout) {
    return fail(ErrorKind::kTimeout,
                "no agent answered in vm \"{}\" within {} s: its image may have none",
                vm.config.name, limit.count() / 1000);
  }
  return pass(std::move(stream).error(), fmt::format("reach into vm \"{}\"", vm.config.name));
}

Failure guest_failure(const agent_wire::Frame& frame) {
  // As the original's agent answers what it does not know.
  constexpr std::string_view kUnknown = "expected first frame type";
  if (frame.message.find(kUnknown) != std::string::npos) {
    return fail(ErrorKind::kUnsupported, "the guest's agent is too old for this: {}",
                frame.message);
  }
  return fail(ErrorKind::kVmm, "{}",
              frame.message.empty() ? "the guest's agent gave no reason" : frame.message);
}

Result<agent_wire::Frame> ask_agent(Ports& ports, const model::Vm& vm, std::string_view line,
                                    Milliseconds connect_limit, Milliseconds answer_limit,
                                    bool once) {
  agent::Session session = COCOON_TRY(open_agent(ports, vm, connect_limit, once));
  session.send_line(line);
  agent_wire::Frame frame = COCOON_TRY(session.wait_last(deadline_in(answer_limit)));
  if (frame.type == agent_wire::type::kError) return guest_failure(frame);
  return frame;
}

}  // namespace cocoon::engine
