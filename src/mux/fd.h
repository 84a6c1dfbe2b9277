// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent_wire/unique_fd.h"

namespace cocoon::mux {

using agent_wire::UniqueFd;

}  // namespace cocoon::mux
