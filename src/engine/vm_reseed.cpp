// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_reseed.h"

#include <sys/random.h>

#include <chrono>

#include "engine/agent_access.h"

namespace cocoon::engine {
namespace {

constexpr Milliseconds kAnswerLimit{60'000};
constexpr std::size_t kEntropyBytes = 512;  // what agents use of it

Result<std::string> entropy() {
  std::string bytes(kEntropyBytes, '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {  // 256 bytes at a time are never cut short
    ssize_t got = getrandom(bytes.data() + have, bytes.size() - have, 0);
    if (got < 0 && errno != EINTR) return fail_errno("get random bytes");
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

Result<void> reseed_vm(Ports& ports, const model::Vm& vm, bool machine_id) {
  agent_wire::Frame frame;
  frame.type = agent_wire::type::kReseed;
  frame.data = COCOON_TRY(entropy());
  frame.regen_machine_id = machine_id;
  COCOON_TRY(ask_agent(ports, vm, agent_wire::render_frame(frame), kAgentWait, kAnswerLimit),
             "reseed vm \"{}\"", vm.config.name);
  return {};
}

Result<agent_wire::Identity> fresh_identity() {
  agent_wire::Identity identity;
  identity.entropy = COCOON_TRY(entropy());
  identity.time_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
  return identity;
}

Result<IdentityReport> apply_identity(Ports& ports, const model::Vm& vm,
                                      const agent_wire::Identity& identity,
                                      Milliseconds connect_limit, bool once) {
  auto frame = COCOON_TRY(ask_agent(ports, vm, agent_wire::render_identity(identity), connect_limit,
                                    kAnswerLimit, once),
                          "give vm \"{}\" its identity", vm.config.name);
  IdentityReport report;
  for (std::string& item : frame.items) {
    bool failed = item.find(": ") != std::string::npos;
    (failed ? report.failed : report.applied).push_back(std::move(item));
  }
  return report;
}

}  // namespace cocoon::engine
