// SPDX-License-Identifier: Apache-2.0
//
// Loads the kernel modules of the initramfs.
//
// /modules/order names one module file a line, in load order; dependencies come first. A line may
// name a file system after the file (`btrfs.ko btrfs`): such a module is loaded only if boot.json
// mounts that file system, because loading xfs or btrfs costs every boot memory and, under software
// emulation, time (raid6_pq measures its algorithms). Empty lines and lines that begin with # are
// skipped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guest/boot_config.h"
#include "guest/console.h"

namespace cocoon::guest {

struct ModuleLine {
  std::string file;
  std::string fstype;  // empty: load always

  bool operator==(const ModuleLine&) const = default;
};

/// Parses the order file. Lines that name no plain file are dropped.
std::vector<ModuleLine> parse_module_order(std::string_view text);

/// The file systems that boot.json mounts on writable disks.
std::vector<std::string> mounted_fstypes(const BootConfig& config);

/// Loads from `directory` the modules for every boot and for these file systems. A module that
/// cannot be loaded is a console warning: whatever really needs it fails later with the name of the
/// disk.
void load_modules(const char* directory, const std::vector<std::string>& fstypes, Console& console);

}  // namespace cocoon::guest
