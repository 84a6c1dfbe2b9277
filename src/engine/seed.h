// SPDX-License-Identifier: Apache-2.0
// The NoCloud disk of a VM from a cloud image (spec 05 §3).
#pragma once

#include <optional>
#include <string>

#include "engine/create_request.h"
#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// The disk's bytes; nullopt for a VM without a disk of role cidata. Pure. kInvalid for a value of
// the request that cloud-init could not be told.
Result<std::optional<std::string>> render_seed_disk(const Ports& ports, const model::Vm& vm,
                                                    const CreateRequest& request);

// Writes the disk of role cidata, readable by the VMM and nobody else; nothing for a VM without
// one.
Result<void> make_seed(const Ports& ports, const model::Vm& vm, const CreateRequest& request);

}  // namespace cocoon::engine
