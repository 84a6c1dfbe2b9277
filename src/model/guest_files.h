// SPDX-License-Identifier: Apache-2.0
// Names in the VM directory that the disks and boot files of a record have (design §5). The shim
// and the VMM keep files of their own there, so a record from outside may use no other names. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "model/disk.h"

namespace cocoon::model {

inline constexpr const char* kCowFile = "cow.raw";
inline constexpr const char* kOverlayFile = "overlay.qcow2";
inline constexpr const char* kBaseFile = "base.raw";  // below the overlay
inline constexpr const char* kSeedFile = "cidata.img";
inline constexpr const char* kModulesFile = "modules.erofs";
inline constexpr const char* kGuestKernelFile = "kernel";
inline constexpr const char* kGuestInitrdFile = "initrd";
inline constexpr const char* kFirmwareFile = "firmware.fd";
inline constexpr const char* kVariablesFile = "vars.fd";  // the firmware's, written by the guest

// "layer0.erofs".
std::string layer_file(std::size_t index);

// Are path and backing file of the disk called as they are in every VM directory?
bool has_usual_name(const Disk& disk);

// A plain name in a flat directory: ^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$ (spec 04 §11.9).
bool is_member_name(std::string_view name);

}  // namespace cocoon::model
