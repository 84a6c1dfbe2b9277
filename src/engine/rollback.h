// SPDX-License-Identifier: Apache-2.0
// Undo of a use case (design decision 5): what was done is undone in reverse, with signals
// shielded, unless the case commits. Register an undo before a step that may half-finish; it must
// be idempotent, and every one has a GC twin for the case of kill -9.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace cocoon::engine {

class [[nodiscard]] Rollback {
 public:
  Rollback() = default;
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  ~Rollback();  // runs the undo list unless committed

  // `what` stands in the log when the undo itself fails. The function must hold its values itself.
  void add(std::string what, std::function<Result<void>()> undo);
  void commit() { steps_.clear(); }

 private:
  struct Step {
    std::string what;
    std::function<Result<void>()> undo;
  };
  std::vector<Step> steps_;
};

}  // namespace cocoon::engine
