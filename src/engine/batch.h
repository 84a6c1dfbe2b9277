// SPDX-License-Identifier: Apache-2.0
// One verb over many things: best effort, each failure kept beside its ID.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/ports.h"

namespace cocoon::engine {

// One by one, in this thread alone, is for work that forks without exec: the child of a process
// with several threads has copies of locks (of the allocator, of the log) whose owners it lacks,
// and may wait for them for ever.
enum class Pace { kSideBySide, kOneByOne };

struct BatchResult {
  struct Failed {
    std::string id;
    Error error;
  };
  std::vector<std::string> succeeded;  // in the order asked for
  std::vector<Failed> failed;
};

// Runs `work` for every ID; side by side at most pool_size at a time, each thread with a database
// handle of its own. A failure does not stop the others; after a cancellation the rest fails as
// interrupted.
BatchResult run_batch(Ports& ports, const std::vector<std::string>& ids,
                      const std::function<Result<void>(Ports&, const std::string&)>& work,
                      Pace pace = Pace::kSideBySide);

}  // namespace cocoon::engine
