// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "shim/outcome.h"

namespace cocoon::shim {

// Bounds of shim.conf. The arguments of a VMM with many disks and NICs need a few KiB.
inline constexpr std::size_t kMaxConfigBytes = 256 * 1024;
inline constexpr std::size_t kMaxArguments = 1024;
inline constexpr std::size_t kMaxEnvironment = 256;
inline constexpr std::size_t kMaxGroups = 32;
inline constexpr std::size_t kMaxLocks = 64;
inline constexpr std::size_t kMaxShown = 16;

// What the engine tells the shim in <vm_dir>/shim.conf: `key=value` strings, each ended by one NUL
// byte. Every view points into the buffer that was parsed and is followed by a NUL there, so
// `.data()` is a C string.
struct Config {
  std::string_view id;         // shown to people only
  std::string_view vm_dir;     // absolute; becomes the VMM's working directory
  std::string_view log_dir;    // absolute; console.log and vmm.log
  std::string_view exit_file;  // absolute; where the exit record goes
  std::string_view boot_id;    // the host's, as in /proc/sys/kernel/random/boot_id
  std::string_view nonce;      // hex; makes the exit marker unguessable for the guest's programs
  std::string_view netns;      // "none": stay, "new": a fresh empty one, else a path to enter
  std::string_view cgroup;     // absolute directory that the VMM joins; empty: none
  std::string_view shim_cgroup;
  uid_t uid = 0;  // never 0 after a successful parse
  gid_t gid = 0;  // never 0 after a successful parse
  std::array<gid_t, kMaxGroups> groups{};
  std::size_t group_count = 0;
  std::uint64_t console_log_bytes = 4 * 1024 * 1024;  // per file
  unsigned console_log_files = 4;                     // the current one included
  std::uint64_t vmm_log_bytes = 8 * 1024 * 1024;
  // Files in vm_dir that the VMM holds locked for writing as long as it lives, for a VMM that locks
  // no disks itself.
  std::array<std::string_view, kMaxLocks> locks{};
  std::size_t lock_count = 0;
  // The VMM gets a root directory of its own (private_root.h), with these absolute paths in it.
  bool private_root = false;
  std::array<std::string_view, kMaxShown> shown{};
  std::size_t shown_count = 0;
  // Firecracker's process ends at a guest reboot and stays at a guest power-off; all others do it
  // the other way round.
  bool ends_by_reboot = false;
  // argv[0] is the program; both lists end with a null pointer, as execve wants them.
  std::array<char*, kMaxArguments + 2> argv{};
  std::array<char*, kMaxEnvironment + 1> environment{};
};

// Parses the bytes of shim.conf. Pure. Fails with one line on: an unknown, repeated or missing key,
// a value out of its range, a missing final NUL, uid, gid or group 0 (a VMM is nobody), too many
// arguments. The engine writes this file as root, so a failure means that versions do not match.
Outcome parse_config(std::span<char> bytes, Config& config);

}  // namespace cocoon::shim
