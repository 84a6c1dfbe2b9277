// SPDX-License-Identifier: Apache-2.0
// Whatever becomes of a command that has paused a guest, the guest runs on (design §4): a child
// process watches the command, and resumes the guest when the command is gone.
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "sys/fd.h"
#include "vmm/backend.h"

namespace cocoon::engine {

class [[nodiscard]] Guardian {
 public:
  // Starts watching; only ever called by a process with one thread. The child keeps this process's
  // locks, so that nobody works on the VM until it has done its duty. All arguments are borrowed
  // until it returns.
  static Result<Guardian> start(const vmm::Backend& backend, const vmm::RunningVmm& vmm);

  // The guest runs (or is gone on purpose): the child ends.
  void dismiss();

  Guardian(Guardian&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pipe_(std::move(other.pipe_)) {}
  Guardian& operator=(Guardian&&) = delete;
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;
  // Without dismiss() the child resumes the guest; waits for that.
  ~Guardian();

 private:
  Guardian(pid_t pid, sys::UniqueFd pipe) : pid_(pid), pipe_(std::move(pipe)) {}
  void end();

  pid_t pid_ = -1;
  sys::UniqueFd pipe_;
};

}  // namespace cocoon::engine
