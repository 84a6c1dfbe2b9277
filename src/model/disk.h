// SPDX-License-Identifier: Apache-2.0
// Disks of a VM. A disk is what its role says; nothing is ever inferred from a file name, a serial
// or a flag (design decision 6).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace cocoon::model {

enum class DiskRole {
  kLayer,   // shared read-only EROFS (or the kernel's module tree)
  kCow,     // the VM's writable root
  kCidata,  // read-only NoCloud disk
  kData,    // a data disk of the user
};

std::string_view role_name(DiskRole role);
Result<DiskRole> parse_role(std::string_view text);

struct Disk {
  std::string path;  // name relative to the VM directory, which is all a VMM ever sees
  bool read_only = false;
  std::string serial;  // virtio serial, at most 20 bytes (virtio-blk)
  DiskRole role = DiskRole::kData;
  std::string mount_point;        // data only; empty: not mounted
  std::string fstype;             // data only: ext4, xfs, btrfs, none
  std::optional<bool> direct_io;  // data only; unset: the VM's default
  std::string blob;               // layers, and a cow with a backing file: the blob that was linked
  std::string backing;  // cow only: the raw file below this qcow2 overlay; empty: the disk is raw
  bool operator==(const Disk&) const = default;
};

// The invariants of a disk list, in list order, first failure wins (spec 01 §9 and §24 row 29):
// per role the read-only rule, direct I/O only on data disks, file system and mount rules, name
// rules; over the list unique serials and mount points, one cow at most, cidata last. kInvalid.
Result<void> validate_disks(const std::vector<Disk>& disks);

// ext4, xfs, btrfs or none.
bool is_data_fstype(std::string_view fstype);

// The mount rules of one data disk: no mount with fstype none; an absolute path on one line without
// "." and ".." parts, and not the root. kInvalid.
Result<void> check_mount(const Disk& disk);

// Where a cloud image can mount a data disk: its cloud-init writes /etc/fstab, of which a blank or
// a backslash would be another field. On top of check_mount. kInvalid.
Result<void> check_fstab_mount(std::string_view mount_point);

// The name rule of data disks: ^[a-z][a-z0-9_-]{0,19}$, not starting with "cocoon-".
bool is_disk_name(std::string_view name);

// Keys of spec 01 §10.1 storage_configs, plus `blob`.
void to_json(nlohmann::json& json, const Disk& disk);
Result<Disk> parse_disk(const nlohmann::json& json);

}  // namespace cocoon::model
