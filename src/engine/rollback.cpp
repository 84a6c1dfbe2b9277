// SPDX-License-Identifier: Apache-2.0
#include "engine/rollback.h"

#include "base/log.h"
#include "sys/cancel.h"

namespace cocoon::engine {

void Rollback::add(std::string what, std::function<Result<void>()> undo) {
  steps_.push_back({std::move(what), std::move(undo)});
}

Rollback::~Rollback() {
  if (steps_.empty()) return;
  sys::CancelShield shield;
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    auto result = step->undo();
    if (!result) {
      log_warn("undo ({}): {}; `cocoon gc` removes what is left", step->what,
               result.error().to_string());
    }
  }
}

}  // namespace cocoon::engine
