// SPDX-License-Identifier: Apache-2.0
// Standard base64 with padding (RFC 4648), the form of every byte field on the wire.
#pragma once

#include <string>
#include <string_view>

namespace cocoon::agent_wire {

// Appends the encoded bytes to `out`.
void append_base64(std::string& out, std::string_view bytes);

// Appends the decoded bytes to `out`. False, with `out` in any state, for anything but canonical
// base64: wrong length, foreign characters, bits after the end, padding in the middle.
bool append_decoded(std::string& out, std::string_view text);

}  // namespace cocoon::agent_wire
