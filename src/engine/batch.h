// SPDX-License-Identifier: Apache-2.0
// One verb over many things: best effort, in parallel, each failure kept beside its ID.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/ports.h"

namespace cocoon::engine {

struct BatchResult {
  struct Failed {
    std::string id;
    Error error;
  };
  std::vector<std::string> succeeded;  // in the order asked for
  std::vector<Failed> failed;
};

// Runs `work` for every ID, at most pool_size at a time, each thread with a database handle of its
// own. A failure does not stop the others; after a cancellation the rest fails as interrupted.
BatchResult run_batch(Ports& ports, const std::vector<std::string>& ids,
                      const std::function<Result<void>(Ports&, const std::string&)>& work);

}  // namespace cocoon::engine
