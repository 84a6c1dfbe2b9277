// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "shim/fd.h"
#include "shim/identity.h"
#include "shim/marker.h"
#include "shim/outcome.h"

namespace cocoon::shim {

// All that is known about how a VMM ended.
struct Ending {
  std::optional<int> wait_status;  // as waitpid gives it (not the exit code); adopters have none
  std::optional<int> guest_exit;   // code of the exit marker
  KernelWord word = KernelWord::kNone;  // the end of the console
  bool ends_by_reboot = false;          // Config::ends_by_reboot
  std::string_view panic;               // why we ended it: every boot ends in this panic
};

// Why the VMM ended, one line, by the strongest evidence first: exit marker, a panic at every
// boot, the kernel's word or wait status 0, signal, exit status with the last line of vmm.log,
// nothing. Pure.
Line describe_ending(const Ending& ending, std::string_view last_log_line);

// The record as JSON: boot_id, pid, start_time, ended_at, wait_status|null, guest_exit|null,
// reason. Pure. `reason` must be printable (printable.h).
Text<2048> render_exit_record(const Identity& identity, const Ending& ending,
                              std::string_view ended_at, std::string_view reason);

// Where the record goes. The directory is opened before the shim gives up its rights.
class ExitFile {
 public:
  // `path` is absolute and must outlive this object.
  Outcome open(std::string_view path);

  // Writes the record durably (temporary file, sync, rename, sync of the directory).
  Outcome write(std::string_view record);

  // False when the directory has been removed, so that no try can ever succeed.
  [[nodiscard]] bool can_exist() const;

 private:
  UniqueFd directory_;
  const char* name_ = nullptr;
  Text<256> temporary_;
};

}  // namespace cocoon::shim
