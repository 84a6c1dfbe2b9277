// SPDX-License-Identifier: Apache-2.0
// The VMM of a VM, held for calls to it.
#pragma once

#include <optional>
#include <utility>

#include "engine/ports.h"
#include "model/vm.h"
#include "sys/files.h"
#include "sys/process.h"
#include "vmm/running_vmm.h"

namespace cocoon::engine {

class [[nodiscard]] LiveVm {
 public:
  // nullopt: the VM does not run by its record, or its VMM has ended.
  static Result<std::optional<LiveVm>> open(const Ports& ports, const model::Vm& vm);

  // Valid as long as this object is.
  vmm::RunningVmm vmm() const;

 private:
  LiveVm(sys::UniqueFd dir, sys::LiveProcess handle) noexcept
      : dir_(std::move(dir)), handle_(std::move(handle)) {}

  sys::UniqueFd dir_;
  sys::LiveProcess handle_;
  sys::ProcessRef process_;
  std::filesystem::path log_;
};

}  // namespace cocoon::engine
