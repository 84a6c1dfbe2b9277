// SPDX-License-Identifier: Apache-2.0
// What every use case works with. Passed by reference, never global. One Ports (one database
// handle) belongs to one thread.
#pragma once

#include <functional>
#include <string_view>

#include "model/config.h"
#include "store/db.h"
#include "store/paths.h"

namespace cocoon::engine {

struct Ports {
  const model::Config& config;
  store::Paths paths;
  store::Db& db;
  // One-line remarks for the user ("no usable KVM: software emulation"); cli sends them to stderr.
  std::function<void(std::string_view)> note = [](std::string_view) {};
};

}  // namespace cocoon::engine
