// SPDX-License-Identifier: Apache-2.0
// The command table of cocoon-image: the same commands, with the bodies that cocoon lacks.
#pragma once

#include "cli/command.h"

namespace cocoon::cli {

Program image_program();

}  // namespace cocoon::cli
