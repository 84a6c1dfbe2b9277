// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/config.h"
#include "shim/fd.h"
#include "shim/outcome.h"
#include "shim/process.h"

namespace cocoon::shim {

// What the child needs to become the VMM. Everything is borrowed.
struct VmmPlan {
  const Config& config;
  int vm_dir = -1;   // becomes the working directory, before rights are dropped
  int slave = -1;    // becomes descriptors 0 and 1 and the controlling terminal
  int master = -1;   // becomes descriptor 3, so that the console survives this shim
  int vmm_log = -1;  // becomes descriptor 2
};

// A child that has taken all steps to become the VMM but exec, for which it waits. So the VMM's
// identity is on disk before the VMM runs, and if this shim dies first the child just exits: there
// is no moment at which a VMM runs that nobody knows.
class PendingVmm {
 public:
  PendingVmm() = default;
  PendingVmm(const PendingVmm&) = delete;
  PendingVmm& operator=(const PendingVmm&) = delete;
  // Kills and reaps the child unless release() has succeeded.
  ~PendingVmm();

  // Forks. On success process() is known; the child's own failures are told by release().
  Outcome fork_child(const VmmPlan& plan);

  // Lets the child exec. On failure the child's words come back: "<step>: <error text>".
  Outcome release();

  [[nodiscard]] const ProcessRef& process() const { return process_; }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }

  // Hands the pidfd over; for use after release().
  UniqueFd take_pidfd() { return std::move(pidfd_); }

 private:
  ProcessRef process_;
  UniqueFd pidfd_;
  UniqueFd go_;      // one byte lets the child exec
  UniqueFd errors_;  // closes on exec, else carries the failure text
  bool released_ = false;
};

// Puts the calling process into the cgroup at `directory`; does nothing when that is empty, or when
// it is there already. Returns 0 or an errno.
int join_cgroup(std::string_view directory);

}  // namespace cocoon::shim
