// SPDX-License-Identifier: Apache-2.0
// How a VMM ended, as the shim wrote it down (design §4), and what that means for the VM. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "model/vm.h"

namespace cocoon::model {

struct ExitRecord {
  Process process;
  std::string ended_at;
  std::optional<int> wait_status;  // waitpid(2); unset when another process was the parent
  std::optional<int> guest_exit;   // code of the guest's exit marker
  std::string reason;
};

// kCorrupt for anything else than the shim writes.
Result<ExitRecord> parse_exit_record(std::string_view text);

// Writes the end into the record: guest power-off, guest reboot (where that ends the VMM), exit
// marker or wait status 0 -> stopped; a signal, a non-zero status or an end that nobody saw ->
// error; `asked` (a stop in flight) -> stopped always.
void apply_exit(Vm& vm, const ExitRecord& exit, bool asked);

}  // namespace cocoon::model
