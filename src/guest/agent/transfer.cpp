// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/requests.h"
#include "guest/fd.h"

namespace cocoon::guest {

int transfer(const agent_wire::Frame&) {
  write_all(STDERR_FILENO, "not built yet\n");
  return 1;
}

int apply_identity_frame(std::string_view) {
  write_all(STDOUT_FILENO, "not built yet\n");
  return 1;
}

}  // namespace cocoon::guest
