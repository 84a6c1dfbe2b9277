// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_wait.h"

#include <algorithm>

#include "engine/agent_access.h"
#include "engine/vm_view.h"
#include "sys/process.h"

namespace cocoon::engine {
namespace {

constexpr Milliseconds kAnswerLimit{10'000};
// One look at the record; a VM whose start is under way is seen soon.
constexpr Milliseconds kLook{3'600'000};

}  // namespace

Result<void> wait_ready(Ports& ports, const model::Vm& vm, Milliseconds limit) {
  agent_wire::Frame question;
  question.type = agent_wire::type::kInfo;
  auto answer = ask_agent(ports, vm, agent_wire::render_frame(question), limit, kAnswerLimit);
  // An agent that does not know the question has answered too.
  if (!answer && answer.error().kind != ErrorKind::kUnsupported) {
    return pass(std::move(answer).error());
  }
  return {};
}

Result<model::Vm> wait_end(Ports& ports, const std::string& id, std::optional<Milliseconds> limit) {
  Deadline deadline = deadline_in(limit.value_or(kLook));
  while (true) {
    model::Vm vm = COCOON_TRY(inspect_vm(ports, id));
    if (vm.state != model::VmState::kRunning) return vm;
    if (!limit) deadline = deadline_in(kLook);
    if (time_left(deadline).count() == 0) {
      return fail(ErrorKind::kTimeout, "vm \"{}\" still runs", vm.config.name);
    }
    auto vmm = COCOON_TRY(sys::LiveProcess::open({vm.vmm.pid, vm.vmm.start_time}));
    if (vmm) COCOON_TRY(vmm->wait_exit(time_left(deadline)));
  }
}

}  // namespace cocoon::engine
