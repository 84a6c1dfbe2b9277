// SPDX-License-Identifier: Apache-2.0
// A guest that goes on from a snapshot is told who it is now, and what time it is (design §8),
// before anybody can hear it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent_wire/identity.h"
#include "engine/ports.h"
#include "model/snapshot.h"
#include "model/vm.h"

namespace cocoon::engine {

// Hostname, NICs and DNS of `vm` for a guest that still believes to be `before`: NICs are found by
// the MACs they had there. Time, entropy and machine id are the caller's. Pure.
agent_wire::Identity identity_of(const model::Vm& vm, const model::Vm& before,
                                 const std::vector<std::string>& dns);

// Is our agent known to be in this guest? In others there may be one.
bool has_agent(const model::Vm& vm);

// Asks the running guest whether there is an agent in it that could be told of an identity; nothing
// is changed by it. Takes two seconds where nothing in the guest knows vsock. nullopt: there is one
// that fails, or no guest any more. kInterrupted.
Result<std::optional<bool>> find_agent(Ports& ports, const model::Vm& vm);

// Is it known of a snapshot that nobody in its guest can be told?
bool is_mute(const model::Snapshot& snapshot);

// Tells the running guest of `vm` (its record need not be stored as such). A guest that cannot be
// told because it has no agent: false, after a moment; with `mute` at once, unless there is one by
// now. Errors: an agent that is known to be there does not answer, or the guest could not do what
// it was told (its words).
Result<bool> tell_identity(Ports& ports, const model::Vm& vm, const model::Vm& before,
                           bool new_machine_id, bool mute);

// What a user has to do in a guest that could not be told (spec 04 §9): lines of text. `swapped`:
// its NICs are other devices already, and who knows what it calls them.
std::string identity_hints(const model::Vm& vm, bool swapped);

// A remark of several lines, one by one: a note is one line, and commands are there to be copied.
void note_lines(const Ports& ports, std::string_view text);

// What a user is told of a guest that was given other NICs and could not be told: a remark with its
// hints.
std::string swap_note(const model::Vm& vm);

}  // namespace cocoon::engine
