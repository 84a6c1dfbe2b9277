// SPDX-License-Identifier: Apache-2.0
// One line of QEMU's machine protocol (QMP), taken apart. The sender may be a VMM that a guest has
// broken into: nothing is trusted, depth and size are bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cocoon::vmm::qemu {

struct QmpMessage {
  enum class Kind { kGreeting, kReturn, kError, kEvent };
  Kind kind = Kind::kReturn;
  std::optional<std::uint64_t> id;  // of the command that a return or an error answers
  nlohmann::json value;             // kReturn: the value; kEvent: its data, or null
  std::string name;                 // kEvent: SHUTDOWN, …; kError: the class, GenericError, …
  std::string text;                 // kError: the description
};

// kCorrupt for anything that is no QMP message: no JSON object, nesting deeper than 32, a member of
// the wrong type. Unknown members are ignored.
Result<QmpMessage> parse_qmp_message(std::string_view line);

}  // namespace cocoon::vmm::qemu
