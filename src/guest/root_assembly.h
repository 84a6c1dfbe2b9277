// SPDX-License-Identifier: Apache-2.0
//
// Builds the VM's root: EROFS layers below, the COW disk on top, joined by overlayfs. The features
// switched on are part of the COW's persistent state, so they never change (they are the ones that
// images carrying their own initramfs use too).
#pragma once

#include <cstddef>
#include <string>

#include "guest/boot_config.h"
#include "guest/console.h"
#include "guest/disks.h"
#include "guest/root_dir.h"

namespace cocoon::guest {

inline constexpr const char* kLayersDir = "/.cocoon/layers";
inline constexpr const char* kCowDir = "/.cocoon/cow";
inline constexpr const char* kNewRoot = "/.cocoon/root";

/// Options of the overlay of `layers` layers. The lower directories are the layers' numbers,
/// topmost (last) first, relative to kLayersDir: 500 of them still fit into the one page that
/// mount(2) takes.
std::string render_overlay_options(std::size_t layers);

/// Finds and mounts layers and COW and puts the overlay at kNewRoot. `deadline` is for all disks
/// together. Fails naming the layer or the COW.
Result<RootDir> assemble_root(const BootConfig& config, const DiskFinder& disks, Deadline deadline,
                              Console& console);

/// Mounts the module tree at /lib/modules/<version> of the root.
Result<void> mount_modules(const ModulesDisk& modules, const DiskFinder& disks, Deadline deadline,
                           const RootDir& root);

/// Mounts one data disk in the root.
Result<void> mount_data(const DataMount& mount, const DiskFinder& disks, Deadline deadline,
                        const RootDir& root);

}  // namespace cocoon::guest
