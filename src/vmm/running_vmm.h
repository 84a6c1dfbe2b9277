// SPDX-License-Identifier: Apache-2.0
// A VMM process that runs, and what every backend does with one: finding its door, noticing its
// end, quoting its last words.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace cocoon::vmm {

// A VMM process as the engine holds it. All members are borrowed for the call.
struct RunningVmm {
  int vm_dir = -1;          // descriptor of the VM directory
  sys::ProcessRef process;  // checked against the peer of the API socket
  const sys::LiveProcess* handle =
      nullptr;                   // its pidfd: an end is seen at once; null: ended already
  std::filesystem::path log;     // vmm.log, quoted when the VMM dies
  std::uint64_t log_offset = 0;  // size of vmm.log before this launch
};

// Where a VMM listens, and what it is called in messages.
struct VmmDoor {
  std::string_view program;  // "QEMU"
  const char* socket = "";   // below the VM directory: "sock/qmp"
};

// The last lines that the VMM wrote to its log in this launch, as one line; may be empty.
std::string last_words(const RunningVmm& vmm);

// kVmm: it ended, with its last words.
Failure died(const RunningVmm& vmm, std::string_view program);

// Did it end, or does it within `wait`? kInterrupted.
Result<bool> has_ended(const RunningVmm& vmm, Milliseconds wait);

// Connects to this VMM and nobody else, without blocking; waits until it listens. kVmm when the
// process ends meanwhile, kCorrupt when another process listens there, kTimeout, kInterrupted.
Result<sys::UniqueFd> connect_vmm(const RunningVmm& vmm, const VmmDoor& door, Deadline deadline);

// What to report when a start failed with `error`: a broken connection means that the VMM is dying,
// and what it wrote says why.
Failure explain_failed_start(const RunningVmm& vmm, std::string_view program, Error error);

// Asks the guest to shut down by `ask` (which gets a short deadline of its own), again and again,
// since a guest that still boots loses the request. True: the process ended; false: the deadline
// passed. kInterrupted; the error of `ask` unless it is a transient one.
Result<bool> ask_until_ended(const RunningVmm& vmm, Deadline deadline,
                             const std::function<Result<void>(Deadline)>& ask);

}  // namespace cocoon::vmm
