// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/stop_flags.h"

#include "cli/json_output.h"

namespace cocoon::cli {

std::vector<Flag> stop_flag_table(StopFlags& flags) {
  return {{.name = "force",
           .target = &flags.force,
           .help = "end the hypervisor at once, without asking the guest"},
          {.name = "timeout",
           .target = &flags.timeout,
           .help = "seconds that the guest gets to shut down (0: as configured)",
           .value_name = "SECONDS"},
          output_flag(&flags.format)};
}

Result<engine::StopOptions> stop_options(const StopFlags& flags) {
  if (flags.timeout < 0) {
    return fail(ErrorKind::kInvalid, "invalid value \"{}\" for --timeout: must not be negative",
                flags.timeout);
  }
  engine::StopOptions options{.force = flags.force, .timeout = std::nullopt};
  if (flags.timeout > 0) options.timeout = std::chrono::seconds(flags.timeout);
  return options;
}

}  // namespace cocoon::cli
