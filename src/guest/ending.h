// SPDX-License-Identifier: Apache-2.0
//
// How the VM ends: file systems released, the exit marker as the last line, power off or reboot.
// Nothing here may wait for ever, and PID 1 never returns.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include "guest/boot_config.h"
#include "guest/console.h"
#include "guest/fd.h"
#include "guest/root_dir.h"

namespace cocoon::guest {

/// Roots that the end must let go of.
struct Roots {
  UniqueFd initramfs;           // O_PATH; the first root, still there below the new one
  std::optional<RootDir> root;  // the overlay
};

/// Writes everything back and takes the overlay, all that is mounted in it and the COW out of use,
/// so that the COW's journal is empty. Works before and after switch_root. What stays busy is said
/// on the console.
void release_filesystems(Roots& roots, Console& console);

/// Prints the marker and ends the VM.
[[noreturn]] void end_vm(const Ending& ending, int exit_code, Console& console);

/// A process that ends the VM in PID 1's place if a phase takes too long: a system call that hangs
/// in the kernel (a mount, a sync) cannot be interrupted from within.
class Watchdog {
 public:
  /// `phase` completes "cocoon: <phase>: took longer than N s".
  Watchdog(const char* phase, std::chrono::seconds limit, const Ending& ending, int exit_code,
           Console& console);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() { stop(); }

  void stop();

 private:
  pid_t pid_ = -1;
};

/// From now on a crash of PID 1 (which the kernel would answer with a panic) prints the marker with
/// code 125 and ends the VM. `console_fd` must stay open.
void arm_crash_guard(const Ending& ending, int console_fd);

}  // namespace cocoon::guest
