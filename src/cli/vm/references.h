// SPDX-License-Identifier: Apache-2.0
// From what the user typed to VMs, and the report of a verb over many of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/app.h"
#include "engine/batch.h"
#include "model/vm.h"

namespace cocoon::cli {

// The VM that a reference names, as it is now. kNotFound also when there is no store yet.
struct FoundVm {
  engine::Ports* ports;
  model::Vm vm;
};
Result<FoundVm> find_vm(App& app, const std::string& reference);

// Runs a verb over VMs: all references are resolved first, and when one cannot be nothing is done.
// Prints IDs (or the JSON of both lists) on stdout and one "Error: …" line per failure; returns the
// exit code. `verb` names the work in messages: "stop vm".
using VmWork = std::function<Result<void>(engine::Ports&, const std::string& id)>;
Result<int> run_over_vms(App& app, const std::vector<std::string>& references,
                         const std::string& format, std::string_view verb, const VmWork& work,
                         engine::Pace pace = engine::Pace::kSideBySide);

}  // namespace cocoon::cli
