// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "shim/fd.h"
#include "shim/outcome.h"

namespace cocoon::shim {

// vmm.log: the VMM's stderr. The VMM owns the file (Firecracker opens /proc/self/fd/2 anew), so it
// can write, truncate and link it as it likes; the shim only keeps it below its limit and reads the
// last line. The directory is root's alone, so the name cannot be replaced.
class VmmLog {
 public:
  static constexpr const char* kName = "vmm.log";

  // For a launch: opens the log of an earlier run for appending, or a fresh file owned by the VMM.
  // A file that is not the VMM's own single-linked regular file is put aside by unlinking it.
  Outcome open_for_launch(int directory, uid_t uid, gid_t gid, std::uint64_t limit);

  // For an adoption: opens what is there after the same checks. The object is empty, and does
  // nothing, when they fail.
  void open_existing(int directory, uid_t uid, std::uint64_t limit);

  // A second open file for the VMM: write-only, appending.
  Outcome open_for_vmm(int directory, UniqueFd& fd) const;

  // Empties the file if it is over the limit. Returns how many bytes it has grown since the last
  // call.
  std::uint64_t keep_below_limit();

  // The last line of this run that is not blank, made harmless for terminals; empty if there is
  // none in the last 4 KiB.
  [[nodiscard]] Text<400> last_line() const;

 private:
  [[nodiscard]] static UniqueFd open_checked(int directory, uid_t uid);

  UniqueFd file_;
  std::uint64_t limit_ = 0;
  std::uint64_t start_ = 0;  // where this run's lines begin
  std::uint64_t last_size_ = 0;
};

}  // namespace cocoon::shim
