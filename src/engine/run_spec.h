// SPDX-License-Identifier: Apache-2.0
// What a boot-kit guest runs (design §8): pure.
#pragma once

#include "engine/create_request.h"
#include "model/image.h"
#include "model/vm.h"

namespace cocoon::engine {

// Precedence: `-- CMD` (after --entrypoint when both are given, as docker runs them), --entrypoint,
// the image's entrypoint and command, /sbin/init; --init forces the last. Environment: the image's,
// then -e. kInvalid for an -e without a name.
Result<model::RunSpec> resolve_run(const CreateRequest& request, const model::ImageConfig& image);

}  // namespace cocoon::engine
